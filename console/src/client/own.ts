// lambkin's own API, below /_lambkin/: what AWS has no operation for.

import { json, request } from './request';
import { region } from './session';

export interface Machine {
  version: string;
  account: string;
  functions: number;
  isolation: string;
  memory_mb: number | null;
  memory_used_mb: number;
  environments: number;
}

export interface Sample {
  name: string;
  title: string;
  service: string;
}

export interface Backlog {
  function: string;
  backlog: number;
  in_flight: number;
  waiting_for_retry: number;
  oldest_seconds: number | null;
  since_start: { received: number; running: number; succeeded: number; retried: number; dropped: number; dead_lettered: number; recorded: number };
}

export interface QueueLine {
  name: string;
  region: string;
  arn: string;
  visible: number;
  in_flight: number;
  delayed: number;
  oldest_seconds: number | null;
  dead_letter_queue: string | null;
}

export const machine = () => json<Machine>({ path: '/_lambkin/machine' });
export const samples = async () => (await json<{ events: Sample[] }>({ path: '/_lambkin/sample-events' })).events;
export const backlogs = async () => (await json<{ functions: Backlog[] }>({ path: '/_lambkin/events' })).functions;
export const queueLines = async () => (await json<{ queues: QueueLine[] }>({ path: '/_lambkin/queues' })).queues;

export async function sample(name: string): Promise<string> {
  const event = await json<unknown>({ path: `/_lambkin/sample-events/${name}?region=${region()}` });
  return JSON.stringify(event, null, 2);
}

const saved = (functionName: string, name = '') =>
  `/_lambkin/test-events/${encodeURIComponent(functionName)}${name && `/${encodeURIComponent(name)}`}`;

export async function testEvents(functionName: string): Promise<Record<string, string>> {
  return (await json<{ events: Record<string, string> }>({ path: saved(functionName) })).events;
}

export async function saveTestEvent(functionName: string, name: string, text: string): Promise<void> {
  await request({ method: 'PUT', path: saved(functionName, name), body: text });
}

export async function deleteTestEvent(functionName: string, name: string): Promise<void> {
  await request({ method: 'DELETE', path: saved(functionName, name) });
}
