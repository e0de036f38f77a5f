/** The HTTP API's answers that the console reads; described at `/docs/api`. */

/** Exact: `micros` are millionths of a cent, `amount` is the decimal string in the major unit. */
export interface Money {
  readonly micros: number;
  readonly currency: string;
  readonly amount: string;
}

export interface Me {
  readonly member: { readonly member_id: string; readonly name: string; readonly role: 'owner' | 'admin' | 'agent' | 'finance' };
  readonly tenant: { readonly tenant_id: string; readonly name: string; readonly sandbox: boolean };
  readonly now: string;
}

export interface CallParticipant {
  readonly participant_id: string;
  readonly name: string;
  readonly joined_at: string | null;
  readonly left_at: string | null;
  readonly participant_ms: number;
  readonly egress_bytes: number;
  readonly message_count: number;
}

export interface CallSummary {
  readonly call_id: string;
  readonly room_id: string;
  readonly room_title: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly participants: readonly CallParticipant[];
}

export interface LegHour {
  readonly hour: string;
  readonly participant_ms: number;
  readonly egress_bytes: number;
  readonly message_count: number;
}

export interface Leg {
  readonly leg_id: string;
  readonly participant_id?: string;
  readonly path: string;
  readonly node: string;
  readonly entered_at: string | null;
  readonly ended_at: string | null;
  readonly end_reason: string | null;
  readonly hours: readonly LegHour[];
}

export interface CallDetail extends CallSummary {
  readonly legs: readonly Leg[];
}

/** One direction of a connection over the last seconds. */
export interface ConnectionFlow {
  readonly bits_per_s: number;
  readonly loss_permille: number | null;
  readonly jitter_ms: number | null;
}

export interface Connection {
  readonly leg_id: string;
  readonly transport: string;
  readonly rtt_ms: number | null;
  readonly up: ConnectionFlow;
  readonly down: ConnectionFlow;
  readonly plays: readonly { readonly mid: string; readonly leg_id: string; readonly source: string; readonly layer: string | null }[];
}

export interface CallQuality {
  readonly connections: readonly Connection[];
}

export interface Calls {
  readonly calls: readonly CallSummary[];
  readonly next_cursor: string | null;
}

export interface UsageHour extends LegHour {
  readonly amount: Money;
}

export interface Usage {
  readonly month: string;
  readonly as_of: string;
  readonly hours: readonly UsageHour[];
  readonly totals: { readonly participant_ms: number; readonly egress_bytes: number; readonly message_count: number; readonly amount: Money };
}

interface Period {
  readonly start: string;
  readonly end: string;
}

type StatementStatus = 'draft' | 'final' | 'collecting' | 'paid' | 'void' | 'uncollectible';

/** How a final statement stands now; the statement itself never changes. */
interface Standing {
  readonly paid: Money;
  readonly open: Money;
  readonly says: string;
}

export interface StatementSummary {
  readonly statement_id: string;
  readonly number: string;
  readonly status: StatementStatus;
  readonly period: Period;
  readonly total: Money;
  readonly finalized_at: string | null;
  readonly standing?: Standing | null;
}

export interface Line {
  readonly line_id: string;
  readonly kind: 'recurring' | 'metered' | 'adjustment';
  readonly description: string;
  readonly meter: string | null;
  readonly quantity: number | null;
  readonly unit: string;
  readonly unit_size: number;
  readonly included: number | null;
  readonly rate: Money | null;
  readonly amount: Money;
  readonly for_month: string | null;
}

export interface Statement {
  readonly statement_id: string | null;
  readonly number: string | null;
  readonly status: StatementStatus;
  readonly account: { readonly account_id: string; readonly name: string };
  readonly period: Period;
  readonly as_of: string;
  readonly currency: string;
  readonly lines: readonly Line[];
  readonly subtotal: Money;
  readonly carried_in: Money;
  readonly total: Money;
  readonly carried_out: Money;
  readonly tab: { readonly before: Money; readonly after: Money; readonly collect: { readonly decision: 'wait' | 'collect'; readonly why: string } };
  readonly standing?: Standing | null;
}

export interface LineHour {
  readonly hour: string;
  readonly quantity: number | null;
  readonly amount: Money;
}

export interface LineHourCall {
  readonly call_id: string;
  readonly room_title: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly quantity: number;
  readonly participants: readonly { readonly participant_id: string; readonly name: string; readonly quantity: number }[];
}

export interface Key {
  readonly key_id: string;
  readonly kind: 'secret' | 'publishable';
  readonly prefix: string;
  readonly origins: readonly string[];
  /** Whole on a publishable key always, on a secret one only when it is made. */
  readonly key?: string;
  readonly created_at: string;
  /** Only on a key that was revoked. */
  readonly revoked_at?: string;
}

export interface NewKey extends Key {
  readonly key: string;
}

export interface Clock {
  readonly now: string;
  readonly offset_hours: number;
  readonly sandbox: boolean;
}
