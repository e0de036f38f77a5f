import type { CSSResult } from 'lit';
import { baseSheet, sheet } from '../theme/sheets.ts';
import dialog from '../theme/dialog.css?inline';
import css from './console.css?inline';

/** What every view of the console adopts. */
export const viewSheets: readonly CSSResult[] = [baseSheet, sheet(css), sheet(dialog)];
