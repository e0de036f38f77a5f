/** The ways to the media: a network that lets no UDP out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller } from './caller.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage({}, { settings: { TUPPENCE_MEDIA_WAYS: 'tcp' } });

test('where there is no UDP, two people see and hear each other over TCP', async () => {
  const { link } = await stage.service.room('Behind a firewall');
  const people: Caller[] = [await Caller.join(stage.browser, link, 'Ann'), await Caller.join(stage.browser, link, 'Ben')];
  await Promise.all(people.map((person) => person.sees(1)));
  const first = await Promise.all(people.map((person) => person.seen()));
  const later = await Promise.all(people.map((person, at) => person.seesAndHears(first[at]!)));
  for (const { ways, srtpCiphers } of later) {
    assert.deepEqual(ways, ['tcp']);
    assert.match(srtpCiphers.join(), /^SRTP_AEAD_AES_(128|256)_GCM$/);
  }
});
