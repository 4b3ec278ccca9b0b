// How a function did, by time: CloudWatch's metrics of it, and what its log alone says: cold starts, and each invocation, out of
// REPORT lines, in text or JSON.

import { metricData, type Statistic } from '../client/cloudwatch';
import type { Configuration } from '../client/lambda';
import { query, type Row } from '../client/logs';
import { backlogs } from '../client/own';
import { Refusal } from '../client/request';

const MINUTE = 60_000;

/** How far back one looks, and by which periods. */
export const RANGES = [
  { id: '15m', text: '15 min', length: 15 * MINUTE, bin: '1m', period: MINUTE },
  { id: '1h', text: '1 h', length: 60 * MINUTE, bin: '2m', period: 2 * MINUTE },
  { id: '6h', text: '6 h', length: 360 * MINUTE, bin: '10m', period: 10 * MINUTE },
  { id: '1d', text: '1 day', length: 1440 * MINUTE, bin: '1h', period: 60 * MINUTE },
  { id: '7d', text: '7 days', length: 10_080 * MINUTE, bin: '6h', period: 360 * MINUTE },
  { id: '14d', text: '14 days', length: 20_160 * MINUTE, bin: '12h', period: 720 * MINUTE },
] as const;

export type Range = (typeof RANGES)[number];

const STATISTICS = [
  { id: 'invocations', metric: 'Invocations', statistic: 'Sum' },
  { id: 'errors', metric: 'Errors', statistic: 'Sum' },
  { id: 'throttles', metric: 'Throttles', statistic: 'Sum' },
  { id: 'least', metric: 'Duration', statistic: 'Minimum' },
  { id: 'mean', metric: 'Duration', statistic: 'Average' },
  { id: 'p50', metric: 'Duration', statistic: 'p50' },
  { id: 'p95', metric: 'Duration', statistic: 'p95' },
  { id: 'p99', metric: 'Duration', statistic: 'p99' },
  { id: 'most', metric: 'Duration', statistic: 'Maximum' },
  { id: 'concurrency', metric: 'ConcurrentExecutions', statistic: 'Maximum' },
  { id: 'age', metric: 'AsyncEventAge', statistic: 'Average' },
  { id: 'oldest', metric: 'AsyncEventAge', statistic: 'Maximum' },
  { id: 'received', metric: 'AsyncEventsReceived', statistic: 'Sum' },
  { id: 'dropped', metric: 'AsyncEventsDropped', statistic: 'Sum' },
  { id: 'deadLetterErrors', metric: 'DeadLetterErrors', statistic: 'Sum' },
  { id: 'undelivered', metric: 'DestinationDeliveryFailures', statistic: 'Sum' },
] as const satisfies Statistic[];

/** Of sums, a period without a value has none of it; of the others nothing is known then. */
export type Sum = Extract<(typeof STATISTICS)[number], { statistic: 'Sum' }>['id'] | 'cold';
export type Level = Exclude<(typeof STATISTICS)[number]['id'], Sum>;

/** One period. */
export type Figure = { at: Date } & Record<Sum, number> & Partial<Record<Level, number>>;

export interface Invocation {
  at: number;
  requestId: string;
  duration: number;
  billed: number;
  init?: number;
  memory?: number;
  failed: boolean;
}

export interface Figures {
  from: Date;
  until: Date;
  /** Milliseconds that each of them is of. */
  period: number;
  figures: Figure[];
  recent: Invocation[];
  /** Since lambkin began; nothing where these keys may not ask. AWS has no metric of what arrived, only of what did not. */
  delivered: { deadLetters: number; records: number } | undefined;
}

/** Most invocations that are listed. */
const RECENT = 25;

interface Language {
  report: string;
  requestId: string;
  duration: string;
  billed: string;
  init: string;
  memory: string;
  failed: string;
}

/** The names of the same things in both formats. An error that a handler reported is not in a text REPORT, but logged by the runtime. */
const TEXT: Language = {
  report: "@type = 'REPORT'",
  requestId: '@requestId',
  duration: '@duration',
  billed: '@billedDuration',
  init: '@initDuration',
  memory: '@maxMemoryUsed',
  failed: "(@type = 'REPORT' and @message like 'Status: ') or @message like /\\tERROR\\tInvoke Error \\t\\{/",
};

const JSON_LINES: Language = {
  report: "type = 'platform.report'",
  requestId: 'record.requestId',
  duration: 'record.metrics.durationMs',
  billed: 'record.metrics.billedDurationMs',
  init: 'record.metrics.initDurationMs',
  memory: 'record.metrics.maxMemoryUsedMB',
  failed: "type = 'platform.report' and record.status != 'success'",
};

export const groupOf = (configuration: Configuration) =>
  configuration.LoggingConfig?.LogGroup ?? `/aws/lambda/${configuration.FunctionName}`;

/** In JSON, REPORT is logged at INFO and below. */
export const reports = ({ LoggingConfig: logging }: Configuration) =>
  logging?.LogFormat !== 'JSON' || logging.SystemLogLevel !== 'WARN';

export async function figuresOf(configuration: Configuration, range: Range): Promise<Figures> {
  const group = groupOf(configuration);
  const json = configuration.LoggingConfig?.LogFormat === 'JSON';
  const words = json ? JSON_LINES : TEXT;
  // Insights counts megabytes as 10^6 bytes; JSON lines say them as they are.
  const megabytes = (value: number | undefined) => (value === undefined ? undefined : json ? value : value / 1e6);
  const until = Date.now();
  const from = Math.floor((until - range.length) / range.period) * range.period;
  const { duration, init, memory } = words;
  const by = `bin(${range.bin})`;
  const ask = (text: string) => query(group, text, from, until);
  const logged = async (): Promise<Row[][]> => {
    try {
      return await Promise.all([
        ask(`filter ${words.report} | stats count(${init}) as cold by ${by}`),
        ask(`filter ${words.report} | fields ${[words.requestId, duration, words.billed, init, memory].join(', ')}, @timestamp | sort @timestamp desc | limit ${RECENT}`),
        ask(`filter ${words.failed} | fields ${words.requestId} | sort @timestamp desc | limit 1000`),
      ]);
    } catch (error) {
      // The group comes with the first line that is logged.
      if (!(error instanceof Refusal && error.code === 'ResourceNotFoundException')) throw error;
      return [];
    }
  };
  const [metrics, [starts = [], latest = [], failures = []], delivered] = await Promise.all([
    metricData(configuration.FunctionName, [...STATISTICS], range.period, from, until),
    logged(),
    deliveredOf(configuration),
  ]);
  const failedIds = new Set(failures.map((row) => row[words.requestId]));
  const recent = latest.map((row) => compact<Invocation>({
    at: moment(row['@timestamp']),
    requestId: row[words.requestId] ?? '',
    duration: number(row, duration) ?? 0,
    billed: number(row, words.billed) ?? 0,
    init: number(row, init),
    memory: megabytes(number(row, memory)),
    failed: failedIds.has(row[words.requestId]),
  }));
  const cold = new Map(starts.map((row) => [moment(row[by]), number(row, 'cold') ?? 0]));
  const figures: Figure[] = [];
  for (let at = from; at < until; at += range.period) {
    const values = STATISTICS.map(({ id, statistic }) => [id, metrics.get(id)?.get(at) ?? (statistic === 'Sum' ? 0 : undefined)]);
    figures.push({ at: new Date(at), cold: cold.get(at) ?? 0, ...(Object.fromEntries(values) as Omit<Figure, 'at' | 'cold'>) });
  }
  return { from: new Date(from), until: new Date(from + figures.length * range.period), period: range.period, figures, recent, delivered };
}

async function deliveredOf({ FunctionArn: arn }: Configuration): Promise<Figures['delivered']> {
  try {
    const counted = (await backlogs()).find((each) => each.function === arn)?.since_start;
    return { deadLetters: counted?.dead_lettered ?? 0, records: counted?.recorded ?? 0 };
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

function number(row: Row, field: string): number | undefined {
  const value = Number(row[field] ?? NaN);
  return Number.isNaN(value) ? undefined : value;
}

/** Insights' `2026-01-02 03:04:00.000`, in UTC. */
function moment(text: string | undefined): number {
  return Date.parse(`${(text ?? '').replace(' ', 'T')}Z`);
}

function compact<T>(given: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}
