/** GStreamer, which is neither a browser nor written by us, publishes by WHIP. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Caller } from './caller.ts';
import { ROOT, until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

/** A certificate with an ECDSA key, as browsers make them; webrtcbin wants it in one file before its key. */
function certificate(folder: string): string {
  const [key, made, both] = ['key', 'certificate', 'both'].map((name) => join(folder, `whip-${name}.pem`)) as [string, string, string];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-days', '1', '-subj', '/CN=whip', '-keyout', key, '-out', made], { stdio: 'ignore' });
  writeFileSync(both, readFileSync(made, 'utf8') + readFileSync(key, 'utf8'));
  return both;
}

const stage: Stage = setStage();
let gstreamer: ChildProcess | undefined;

after(() => gstreamer?.kill('SIGKILL'));

test('GStreamer publishes by WHIP, is seen and heard in the call page, and goes', async () => {
  const { service, browser } = stage;
  const room = await service.room('From GStreamer');
  const ann: Caller = await Caller.join(browser, room.link, 'Ann');
  const program: string = join(ROOT, 'tests/browser/gstreamer.py');
  const args: string[] = [program, `${service.url}/v1/whip/${room.room_id}`, certificate(service.dir)];
  gstreamer = spawn('/usr/bin/python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  gstreamer.stdout!.on('data', (text: Buffer) => (said += text.toString()));
  gstreamer.stdin!.write(`${await service.token(room, 'Studio')}\n`);
  await until('GStreamer to be connected', 20_000, () => said.includes('connected\n'));
  await ann.sees(1);
  await ann.page.getByText('Studio').first().waitFor();
  await ann.seesAndHears(await ann.seen());
  gstreamer.stdin!.end();
  const [code] = (await once(gstreamer, 'exit')) as [number | null];
  assert.equal(code, 0, said);
  await until('Ann to hear that the publisher left', 5_000, async () => (await ann.events()).includes('participant_left'));
});
