// CloudWatch's metrics of a function, in its JSON protocol.

import { json } from './request';

/** One statistic of a metric of `AWS/Lambda`. */
export interface Statistic {
  /** A word of letters and digits, by which the answer has it. */
  id: string;
  metric: string;
  /** `Sum`, `Average`, `Maximum`, `p99` and so on. */
  statistic: string;
}

interface Page {
  MetricDataResults: { Id: string; Timestamps: number[]; Values: number[] }[];
  NextToken?: string;
}

/** Values by the beginnings of their periods, in milliseconds, by id. What no period has a value of is an empty map. */
export async function metricData(functionName: string, wanted: Statistic[], period: number, from: number, until: number): Promise<Map<string, Map<number, number>>> {
  const found = new Map(wanted.map(({ id }) => [id, new Map<number, number>()]));
  const input = {
    StartTime: from / 1000,
    EndTime: until / 1000,
    MetricDataQueries: wanted.map(({ id, metric, statistic }) => ({
      Id: id,
      MetricStat: {
        Metric: { Namespace: 'AWS/Lambda', MetricName: metric, Dimensions: [{ Name: 'FunctionName', Value: functionName }] },
        Period: period / 1000,
        Stat: statistic,
      },
    })),
  };
  let token: string | undefined;
  do {
    const page = await json<Page>({
      method: 'POST',
      path: '/',
      service: 'monitoring',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'GraniteServiceVersion20100801.GetMetricData' },
      body: JSON.stringify({ ...input, ...(token !== undefined && { NextToken: token }) }),
    });
    for (const { Id: id, Timestamps: times, Values: values } of page.MetricDataResults) {
      times.forEach((time, index) => found.get(id)?.set(time * 1000, values[index] ?? 0));
    }
    token = page.NextToken;
  } while (token !== undefined);
  return found;
}
