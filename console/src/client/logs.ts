// CloudWatch Logs' operations that the console uses, in its JSON protocol.

import { json, request } from './request';

export interface LogGroup {
  logGroupName: string;
  creationTime: number;
  retentionInDays?: number;
  storedBytes?: number;
}

export interface LogEvent {
  eventId: string;
  timestamp: number;
  message: string;
  logStreamName: string;
}

/** A row of a query: what it shows, by field. */
export type Row = Record<string, string>;

interface QueryAnswer {
  status: 'Scheduled' | 'Running' | 'Complete' | 'Failed' | 'Cancelled' | 'Timeout' | 'Unknown';
  results: { field: string; value: string }[][];
}

/** A query over a function's log takes milliseconds here; one over everything a while. */
const QUERY_DEADLINE = 60_000;

const asked = (operation: string, input: Record<string, unknown>, signal?: AbortSignal) => ({
  method: 'POST',
  path: '/',
  service: 'logs',
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `Logs_20140328.${operation}` },
  body: JSON.stringify(input),
  ...(signal && { signal }),
});

export async function logGroups(): Promise<LogGroup[]> {
  const all: LogGroup[] = [];
  let nextToken: string | undefined;
  do {
    const page = await json<{ logGroups: LogGroup[]; nextToken?: string }>(asked('DescribeLogGroups', { ...(nextToken && { nextToken }) }));
    all.push(...page.logGroups);
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return all;
}

export async function logGroup(name: string): Promise<LogGroup | undefined> {
  const page = await json<{ logGroups: LogGroup[] }>(asked('DescribeLogGroups', { logGroupNamePrefix: name }));
  return page.logGroups.find(({ logGroupName }) => logGroupName === name);
}

export async function deleteLogGroup(name: string): Promise<void> {
  await request(asked('DeleteLogGroup', { logGroupName: name }));
}

/** `undefined`: for ever. */
export async function putRetention(name: string, days: number | undefined): Promise<void> {
  if (days === undefined) await request(asked('DeleteRetentionPolicy', { logGroupName: name }));
  else await request(asked('PutRetentionPolicy', { logGroupName: name, retentionInDays: days }));
}

/** Pages of events from `startTime` on, oldest first. */
export async function* filterEvents(
  group: string,
  filterPattern: string,
  startTime: number,
  signal: AbortSignal,
): AsyncGenerator<LogEvent[]> {
  let nextToken: string | undefined;
  do {
    const input = { logGroupName: group, startTime, ...(filterPattern && { filterPattern }), ...(nextToken && { nextToken }) };
    const page = await json<{ events: LogEvent[]; nextToken?: string }>(asked('FilterLogEvents', input, signal));
    yield page.events;
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
}

/** Runs an Insights query. Times are in milliseconds. */
export async function query(group: string, text: string, from: number, until: number): Promise<Row[]> {
  const input = { logGroupName: group, queryString: text, startTime: Math.floor(from / 1000), endTime: Math.ceil(until / 1000) };
  const { queryId } = await json<{ queryId: string }>(asked('StartQuery', input));
  const deadline = Date.now() + QUERY_DEADLINE;
  for (let pause = 20; ; pause = Math.min(pause * 2, 500)) {
    const answer = await json<QueryAnswer>(asked('GetQueryResults', { queryId }));
    if (answer.status === 'Complete') return answer.results.map((row) => Object.fromEntries(row.map(({ field, value }) => [field, value])));
    if (answer.status !== 'Scheduled' && answer.status !== 'Running') throw new Error(`The query ended as ${answer.status}.`);
    if (Date.now() > deadline) {
      await request(asked('StopQuery', { queryId }));
      throw new Error('The query took longer than a minute. Ask for less time.');
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
