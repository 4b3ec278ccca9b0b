// How long the first view takes. Alone on the machine, before the other files: what is measured is the console.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { browse, Server } from './world.mjs';

/** Noise only makes a visit longer: one within the time shows that the console needs no more. */
const VISITS = 10;
/** Milliseconds on loopback, from the address to what lambkin was asked. */
const MOST = 1000;

test('the first view can be used within a second', async () => {
  const server = await Server.start();
  const { page, close } = await browse(server);
  try {
    const times = [];
    while (times.length < VISITS && !(times.at(-1) <= MOST)) {
      await page.goto('about:blank');
      const begun = Date.now();
      await page.goto(`${server.endpoint}/console`, { waitUntil: 'commit' });
      await page.getByText('Up', { exact: true }).waitFor();
      times.push(Date.now() - begun);
    }
    // What a first view does not show is not loaded for it.
    const parts = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
    assert.ok(parts.some((name) => name.includes('/assets/home')));
    assert.deepEqual(parts.filter((name) => /assets\/(code_mirror|monitor_tab|functions|queues|page)/.test(name)), []);
    console.log(`first view: ${times.join(', ')} ms`);
    assert.ok(times.at(-1) <= MOST, `${times.join(', ')} ms`);
  } finally {
    await close();
    await server.stop();
  }
});
