/** A refusal of the HTTP API (RFC 9457), or of the network on the way there. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** From the documented list at `/docs/problems`; `unreachable` when no answer came. */
  readonly code: string;
  readonly status: number;
  /** What to show: what happened, as a short line. */
  readonly title: string;
  readonly retryAfterS: number | undefined;

  constructor(problem: { code: string; status: number; title: string; detail: string; retryAfterS?: number | undefined }) {
    super(problem.detail);
    this.code = problem.code;
    this.status = problem.status;
    this.title = problem.title;
    this.retryAfterS = problem.retryAfterS;
  }
}

export interface Ask {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly key?: string;
  /** The same for each try of one request: its effect then happens once, however often it is sent. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Asks the HTTP API and answers the JSON body (`undefined` for 204). Throws `ApiError`. */
export async function ask<T>(path: string, { method = 'GET', body, key, idempotencyKey, signal }: Ask = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (key !== undefined) headers['Authorization'] = `Bearer ${key}`;
  if (idempotencyKey !== undefined) headers['Idempotency-Key'] = idempotencyKey;
  const response: Response = await send(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', ...init });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError({
      code: 'unreachable',
      status: 0,
      title: 'The service cannot be reached',
      detail: 'No answer came. Check your network, then try again.',
    });
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  const body: Record<string, unknown> = await response.json().catch(() => ({}));
  const said = (field: string, otherwise: string): string =>
    typeof body[field] === 'string' ? (body[field] as string) : otherwise;
  const retryAfter: number = Number(response.headers.get('Retry-After'));
  return new ApiError({
    code: said('code', `http_${response.status}`),
    status: response.status,
    title: said('title', 'The service refused this'),
    detail: [said('detail', ''), said('advice', '')].filter(Boolean).join(' ') || 'It gave no reason. Try again in a moment.',
    retryAfterS: retryAfter > 0 ? retryAfter : undefined,
  });
}
