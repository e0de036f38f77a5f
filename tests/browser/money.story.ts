/** What a call costs: from the wall clock to the line of a final statement, and back down to the call. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { Caller } from './caller.ts';
import { openConsole, tabTo } from './console.ts';
import { endOfMonth, type Line, type Statement } from './money.ts';
import { until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

test('a statement says what the wall clock says, and opens down to the call', { timeout: 120_000 }, async () => {
  const wallMs: number = await talk('Month end', 6000);
  await until('the usage of both people', 10_000, async () => {
    const { totals } = await stage.service.get<{ totals: { participant_ms: number } }>('/v1/usage');
    return Math.abs(totals.participant_ms - wallMs) <= 1000;
  });
  const draft: Statement = await stage.service.get<Statement>('/v1/statements/draft');
  assert.equal(draft.status, 'draft');

  const { finalized } = await stage.service.post<{ finalized: Statement[] }>('/v1/clock/advance', { to: endOfMonth(draft) });
  assert.equal(finalized.length, 1, 'one month ended');
  const statement: Statement = await stage.service.get<Statement>(`/v1/statements/${finalized[0]!.statement_id}`);
  assert.equal(statement.status, 'final');
  assert.match(String(statement.number), /1$/);

  const line: Line | undefined = statement.lines.find(({ meter }) => meter === 'participant_ms');
  assert.ok(line, 'a line for participant-minutes');
  assert.ok(Math.abs((line.quantity ?? 0) - wallMs) <= 1000, `${line.quantity} ms on the statement, ${wallMs.toFixed(0)} ms on the wall clock`);
  const sum: number = statement.lines.reduce((all, { amount }) => all + amount.micros, 0);
  assert.equal(sum, statement.subtotal.micros, 'the lines add up');

  const { hours } = await stage.service.get<{ hours: { hour: string; quantity: number }[] }>(`/v1/statements/${statement.statement_id}/lines/${line.line_id}/hours`);
  assert.equal(hours.reduce((all, { quantity }) => all + quantity, 0), line.quantity, 'the hours add up');
  let fromCalls = 0;
  for (const { hour } of hours.filter(({ quantity }) => quantity > 0)) {
    const { calls } = await stage.service.get<{ calls: { quantity: number; room_title: string }[] }>(
      `/v1/statements/${statement.statement_id}/lines/${line.line_id}/hours/${encodeURIComponent(hour)}/calls`,
    );
    assert.ok(calls.every(({ room_title }) => room_title === 'Month end'));
    fromCalls += calls.reduce((all, { quantity }) => all + quantity, 0);
  }
  assert.equal(fromCalls, line.quantity, 'the calls add up');
  await byKeyboard(statement);
});

/** The same way down, in the console, without a mouse. */
async function byKeyboard(statement: Statement): Promise<void> {
  const page: Page = await openConsole(stage.browser, stage.service);
  await tabTo(page, /^statements/i);
  await page.keyboard.press('Enter');
  await page.getByText(String(statement.number)).first().waitFor();
  await tabTo(page, new RegExp(String(statement.number)));
  await page.keyboard.press('Enter');
  await page.getByText(/participant-minute/i).first().waitFor();
  await tabTo(page, /participant/i);
  await page.keyboard.press('Enter');
  await tabTo(page, /\d{1,2}:00/);
  await page.keyboard.press('Enter');
  await page.getByText('Month end').first().waitFor();
}

/** Two people talk; answers how many milliseconds they were in the call, added up. */
async function talk(title: string, ms: number): Promise<number> {
  const { link } = await stage.service.room(title);
  const people: Caller[] = [await Caller.join(stage.browser, link, 'Ann'), await Caller.join(stage.browser, link, 'Ben')];
  await sleep(ms);
  let sum = 0;
  for (const person of people) {
    await person.leave();
    sum += (await person.wall('leaveSent')) - (await person.wall('entered'));
  }
  await Promise.all(people.map((person) => person.close()));
  return sum;
}
