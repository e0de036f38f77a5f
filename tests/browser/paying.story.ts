/** From a tab that waits to a statement that is paid, in the console. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { openConsole } from './console.ts';
import { endOfMonth, type Statement } from './money.ts';
import { until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

interface Summary {
  readonly number: string;
  readonly status: string;
}

test('a tab waits, is paid by hand, and its statements say so', { timeout: 90_000 }, async () => {
  for (let month = 0; month < 3; month++) {
    await stage.service.post('/v1/clock/advance', { to: endOfMonth(await stage.service.get<Statement>('/v1/statements/draft')) });
  }
  const before: readonly Summary[] = (await stage.service.get<{ statements: Summary[] }>('/v1/statements')).statements;
  assert.ok(before.length >= 3 && before.every(({ status }) => status === 'final'), JSON.stringify(before));

  const page: Page = await openConsole(stage.browser, stage.service, '/console/paying');
  await page.getByText(/no money moves/i).first().waitFor();
  await page.getByText(/nothing is taken before a way to pay is named/i).first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Pay it now' }).count(), 0, 'there is no way to pay yet');

  await page.getByLabel('What you call it').fill('Visa ending in 4242');
  await page.getByLabel('What happens').selectOption('sandbox_succeeds');
  await page.getByRole('button', { name: 'Name it' }).click();
  await page.getByText('You pay by Visa ending in 4242 from now on.').waitFor();
  await page.getByText(/nothing is due before the tab reaches/i).first().waitFor();

  await page.getByLabel(/Fill the wallet up/).fill('5.555');
  await page.getByRole('button', { name: 'Keep this' }).click();
  await page.getByText('Type an amount such as 5.00.').waitFor();
  assert.equal(await page.getByLabel(/Fill the wallet up/).inputValue(), '5.555', 'what was typed stays');

  await page.getByRole('button', { name: 'Pay it now' }).click();
  await page.getByRole('cell', { name: /paid/ }).first().waitFor();
  await until('every statement to be paid', 10_000, async () => {
    const { statements } = await stage.service.get<{ statements: Summary[] }>('/v1/statements');
    return before.every(({ number }) => statements.find((it) => it.number === number)?.status === 'paid');
  });
  await page.getByRole('link', { name: 'Statements', exact: true }).click();
  await page.getByText(String(before[0]!.number)).first().waitFor();
  assert.ok((await page.getByText('paid', { exact: true }).count()) >= 3);

  await page.getByRole('link', { name: 'Paying', exact: true }).click();
  await page.getByRole('button', { name: 'Put in $5.00' }).click();
  await page.locator('.figure', { hasText: 'Your wallet' }).getByText('$5.00', { exact: true }).waitFor();
});
