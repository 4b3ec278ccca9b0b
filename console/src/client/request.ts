// One signed request to lambkin, and what can go wrong with it. Not here: what the services' operations mean.

import { AwsClient } from 'aws4fetch';

import { keys, region } from './session';

/** What lambkin refused, in AWS's words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** lambkin is gone or cannot be reached. */
export class Unreachable extends Error {
  constructor() {
    super('lambkin does not answer. Is it still running?');
  }
}

const WANTS_KEYS = new Set([
  'UnrecognizedClientException', 'InvalidClientTokenId', 'InvalidSignatureException', 'SignatureDoesNotMatch', 'IncompleteSignature',
]);

/** Told when lambkin wants keys that it knows. */
let askForKeys: () => void = () => {};

export function onKeysWanted(ask: () => void): void {
  askForKeys = ask;
}

export interface Asked {
  method?: string;
  path: string;
  service?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  signal?: AbortSignal;
}

export async function request(asked: Asked): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(await signed(asked));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Unreachable();
  }
  if (response.ok) return response;
  const text = await response.text();
  const refusal = refused(response, text);
  if (response.status === 403 && WANTS_KEYS.has(refusal.code)) askForKeys();
  throw refusal;
}

export async function json<T>(asked: Asked): Promise<T> {
  return (await (await request(asked)).json()) as T;
}

async function signed({ method = 'GET', path, service = 'lambda', headers, body, signal }: Asked): Promise<Request> {
  const url = new URL(path, location.origin);
  const init: RequestInit = { method, cache: 'no-store', ...(headers && { headers }), ...(body !== undefined && { body }), ...(signal && { signal }) };
  const { accessKeyId, secretAccessKey } = keys();
  // Only pages of this machine, or over TLS, can sign. Elsewhere lambkin either verifies nothing or refuses.
  if (globalThis.crypto?.subtle === undefined) {
    const scope = `${accessKeyId}/19700101/${region()}/${service}/aws4_request`;
    const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`;
    return new Request(url, { ...init, headers: { ...headers, authorization } });
  }
  const client = new AwsClient({ accessKeyId, secretAccessKey, region: region(), service, retries: 0 });
  return client.sign(url.href, init);
}

function refused(response: Response, text: string): Refusal {
  let code = response.headers.get('x-amzn-errortype') ?? '';
  let message = '';
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    code ||= String(body['__type'] ?? '');
    message = String(body['message'] ?? body['Message'] ?? body['errorMessage'] ?? '');
  } catch {
    code ||= /<Code>([^<]*)/.exec(text)?.[1] ?? '';
    message = /<Message>([^<]*)/.exec(text)?.[1] ?? text.slice(0, 500);
  }
  code = code.split('#').pop()?.split(':')[0] ?? '';
  return new Refusal(response.status, code, message || `${code || 'Refused'} (${response.status})`);
}

export function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
