/**
 * A line between the machine and somebody in a network namespace of their own: a pair of virtual interfaces, shaped by `tc`
 * (a token bucket; queues of 300 ms) and thinned out by `nft` (each datagram by chance). The browser in there is a real one.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAMS: readonly string[] = ['ip', 'tc', 'nft', 'nsenter'];

export class Link {
  /** Where the machine is reached from inside. */
  readonly here: string;
  /** Starts what its first arguments name, inside. */
  readonly inside: string;
  readonly #name: string;
  readonly #dir: string;
  readonly #chromium: string;

  private constructor(name: string, net: string, dir: string, chromium: string) {
    this.here = `${net}.1`;
    this.inside = join(dir, 'chromium');
    this.#name = name;
    this.#dir = dir;
    this.#chromium = chromium;
  }

  /** Why there can be no such line here and what would help, or `false`. */
  static missing(): string | false {
    if (process.getuid?.() !== 0) return 'a shaped link needs root: sudo env "PATH=$PATH" npm --prefix tests/browser test';
    const absent: string[] = PROGRAMS.filter((program) => !succeeds('sh', '-c', `command -v ${program}`));
    if (absent.length > 0) return `a shaped link needs ${absent.join(', ')}: script/bootstrap --browser installs them`;
    const probe = `tup${process.pid}p`;
    if (!succeeds('ip', 'netns', 'add', probe)) return 'a shaped link needs CAP_SYS_ADMIN and CAP_NET_ADMIN, which this root lacks';
    succeeds('ip', 'netns', 'delete', probe);
    return false;
  }

  /** A line without limits. `chromium` is the program that `inside` starts. */
  static open(chromium: string): Link {
    const name = `tup${process.pid}`;
    // Of the block for tests between networks (RFC 2544); one net for each process that tests.
    const net = `198.18.${process.pid % 256}`;
    const link = new Link(name, net, mkdtempSync(join(tmpdir(), 'tuppence-link-')), chromium);
    run('ip', 'netns', 'add', name);
    run('ip', 'link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name);
    run('ip', 'address', 'add', `${net}.1/30`, 'dev', `${name}a`);
    // One datagram at a time, as on a real line: chance must not take a whole train.
    run('ip', 'link', 'set', `${name}a`, 'up', 'gso_max_segs', '1');
    link.#inside('ip', 'address', 'add', `${net}.2/30`, 'dev', `${name}b`);
    link.#inside('ip', 'link', 'set', `${name}b`, 'up', 'gso_max_segs', '1');
    link.#inside('ip', 'link', 'set', 'lo', 'up');
    link.#install('');
    return link;
  }

  /** Pages from here are trusted with cameras inside as if they had come by HTTPS, in browsers that are yet to be started. */
  trust(origin: string): void {
    this.#install(`--unsafely-treat-insecure-origin-as-secure=${origin}`);
  }

  /** Lets nothing out but TCP to these ports; what else tries hears nothing. */
  firewall(ports: readonly number[]): void {
    this.#inside('nft', 'add table inet line');
    this.#inside('nft', 'add chain inet line output { type filter hook output priority 0; }');
    this.#inside('nft', 'add rule inet line output oifname lo accept');
    this.#inside('nft', `add rule inet line output tcp dport { ${ports.join(', ')} } accept`);
    this.#inside('nft', 'add rule inet line output drop');
  }

  /** No more than this goes in. */
  narrow(kbps: number): void {
    // A bucket of one datagram: what it holds passes at any rate, which no line of copper does.
    run('tc', 'qdisc', 'replace', 'dev', `${this.#name}a`, 'root', 'tbf', 'rate', `${kbps}kbit`, 'burst', '1600', 'latency', '300ms');
  }

  /** This many of a hundred datagrams are lost, either way. */
  lose(percent: number): void {
    this.#inside('nft', 'add table inet line');
    for (const hook of ['input', 'output']) {
      this.#inside('nft', `add chain inet line ${hook} { type filter hook ${hook} priority 0; }`);
      this.#inside('nft', `add rule inet line ${hook} meta l4proto udp numgen random mod 100 < ${percent} drop`);
    }
  }

  /** Nothing is lost and nothing is limited. */
  heal(): void {
    succeeds('tc', 'qdisc', 'delete', 'dev', `${this.#name}a`, 'root');
    succeeds('nsenter', this.#entrance, 'nft', 'delete table inet line');
  }

  close(): void {
    succeeds('ip', 'netns', 'delete', this.#name);
    succeeds('ip', 'link', 'delete', `${this.#name}a`);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #install(flag: string): void {
    writeFileSync(this.inside, `#!/bin/sh\nexec nsenter ${this.#entrance} ${this.#chromium} ${flag} "$@"\n`);
    chmodSync(this.inside, 0o755);
  }

  /** Not by `ip netns exec`, which wants to change the mounts of `/` and may not where `/` is none of its own, as in a chroot. */
  get #entrance(): string {
    return `--net=/run/netns/${this.#name}`;
  }

  #inside(...command: string[]): void {
    run('nsenter', this.#entrance, ...command);
  }
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function succeeds(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
