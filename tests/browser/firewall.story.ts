/** Somebody in a network that lets nothing out but TLS to one port, and the pages: a real Chromium behind a real firewall. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Caller, chromiumPath, openBrowser } from './caller.ts';
import { Link } from './link.ts';
import { freeTcpPort, Service, until } from './service.ts';

/** A certificate for an address, its key, and what a browser is told to trust it by. */
function certificate(folder: string, address: string): { made: string; key: string; hash: string } {
  const [key, made] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const named = ['-subj', '/CN=turn', '-addext', `subjectAltName=IP:${address}`];
  execFileSync('openssl', ['req', '-x509', ...curve, ...named, '-days', '1', '-keyout', key, '-out', made], { stdio: 'ignore' });
  const own = createPublicKey(readFileSync(made)).export({ type: 'spki', format: 'der' });
  return { made, key, hash: createHash('sha256').update(own).digest('base64') };
}

describe('behind a firewall', { skip: Link.missing() }, () => {
  let folder: string;
  let link: Link;
  let service: Service;
  let outside: Browser;
  let inside: Browser;
  let ports: readonly [pages: number, tls: number];

  before(async () => {
    link = Link.open(chromiumPath());
    folder = mkdtempSync(join(tmpdir(), 'tuppence-turn-'));
    const tls: number = await freeTcpPort();
    const { made, key, hash } = certificate(folder, link.here);
    const settings = {
      TUPPENCE_TURN_LISTEN: `${link.here}:${tls}`,
      TUPPENCE_TURN_URL: `turns:${link.here}:${tls}`,
      TUPPENCE_TURN_CERTIFICATE: made,
      TUPPENCE_TURN_KEY: key,
    };
    service = await Service.start(settings, link.here);
    ports = [Number(new URL(service.url).port), tls];
    outside = await openBrowser({ trusts: service.url });
    inside = await openBrowser({ program: link.inside, trusts: service.url, certificate: hash });
  });

  after(async () => {
    await inside?.close();
    await outside?.close();
    await service?.stop();
    link?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    link.heal();
    await Promise.all([...inside.contexts(), ...outside.contexts()].map((context) => context.close()));
  });

  /** Two people, the second inside; answers once they see and hear each other. */
  async function meet(title: string): Promise<{ ann: Caller; ben: Caller; took: number }> {
    const room = await service.room(title);
    const ann: Caller = await Caller.join(outside, room.link, 'Ann');
    const begun: number = performance.now();
    const ben: Caller = await Caller.join(inside, room.link, 'Ben');
    await Promise.all([ann.sees(1), ben.sees(1)]);
    const took: number = performance.now() - begun;
    const first = await Promise.all([ann.seen(), ben.seen()]);
    await Promise.all([ann.seesAndHears(first[0]), ben.seesAndHears(first[1])]);
    return { ann, ben, took };
  }

  test('where nothing but TLS gets out, two people see and hear each other through it', async (t) => {
    link.firewall(ports);
    const { ben, took } = await meet('Behind a strict firewall');
    const { ways, connections, srtpCiphers } = await ben.seen();
    t.diagnostic(`${Math.round(took)} ms from the lobby's page to both pictures`);
    assert.deepEqual(ways, ['tls']);
    assert.equal(connections, 1, 'the same connection, by another way');
    assert.match(srtpCiphers.join(), /^SRTP_AEAD_AES_(128|256)_GCM$/);
  });

  test('who does not need it does not use it', async () => {
    const { ben } = await meet('No firewall');
    assert.deepEqual((await ben.seen()).ways, ['udp']);
  });

  test('a call whose network becomes strict goes on through TLS', async (t) => {
    const { ben } = await meet('A train, then an office');
    const begun: number = performance.now();
    link.firewall(ports);
    const now = await until('Ben to be back by another way', 60_000, async () => {
      const seen = await ben.seen();
      return seen.ways.includes('tls') && seen;
    });
    const found: number = performance.now() - begun;
    await ben.seesAndHears(now);
    t.diagnostic(`TLS ${Math.round(found)} ms after UDP was gone, and ten frames after ${Math.round(performance.now() - begun)} ms`);
    assert.equal(now.connections, 1, 'the same connection, by another way');
  });

  test('who was cut off until the call gave them up is seen and heard again', async (t) => {
    const { ann, ben } = await meet('A tunnel');
    link.firewall([1]);
    await until('Ben to be given up', 30_000, async () => (await ann.events()).includes('participant_left') || (await ben.seen()).connections > 1);
    link.heal();
    const begun: number = performance.now();
    await until('Ben to be back', 30_000, async () => (await ben.seen()).connections > 1 && (await ben.seen()).framesDecoded > 0);
    t.diagnostic(`${Math.round(performance.now() - begun)} ms after the line was back`);
    await Promise.all([ann.seesAndHears(await ann.seen()), ben.seesAndHears(await ben.seen())]);
  });
});
