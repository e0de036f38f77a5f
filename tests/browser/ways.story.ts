/** The ways to the media: a network that lets no UDP out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller, openBrowser } from './caller.ts';
import { Service } from './service.ts';

test('where there is no UDP, two people see and hear each other over TCP', async () => {
  const service: Service = await Service.start({ TUPPENCE_MEDIA_WAYS: 'tcp' });
  const browser = await openBrowser();
  try {
    const { link } = await service.room('Behind a firewall');
    const people: Caller[] = [await Caller.join(browser, link, 'Ann'), await Caller.join(browser, link, 'Ben')];
    await Promise.all(people.map((person) => person.sees(1)));
    const first = await Promise.all(people.map((person) => person.seen()));
    const later = await Promise.all(people.map((person, at) => person.seesAndHears(first[at]!)));
    for (const { ways, srtpCiphers } of later) {
      assert.deepEqual(ways, ['tcp']);
      assert.match(srtpCiphers.join(), /^SRTP_AEAD_AES_(128|256)_GCM$/);
    }
  } finally {
    await browser.close();
    await service.stop();
  }
});
