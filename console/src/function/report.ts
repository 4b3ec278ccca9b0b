// What a log tail says of an invocation: the REPORT line, in text or JSON.

import { decoded } from '../router';

export interface Report {
  duration?: number;
  billed?: number;
  init?: number;
  memorySize?: number;
  maxMemory?: number;
}

export function reportOf(log: string): Report {
  for (const line of log.split('\n').reverse()) {
    if (line.startsWith('REPORT ')) {
      const number = (name: string) => {
        const found = new RegExp(`\\t${name}: ([\\d.]+)`).exec(line)?.[1];
        return found === undefined ? undefined : Number(found);
      };
      return clean({
        duration: number('Duration'),
        billed: number('Billed Duration'),
        init: number('Init Duration'),
        memorySize: number('Memory Size'),
        maxMemory: number('Max Memory Used'),
      });
    }
    if (line.startsWith('{') && line.includes('"platform.report"')) {
      try {
        const metrics = (JSON.parse(line) as { record?: { metrics?: Record<string, number> } }).record?.metrics ?? {};
        return clean({
          duration: metrics['durationMs'],
          billed: metrics['billedDurationMs'],
          init: metrics['initDurationMs'],
          memorySize: metrics['memorySizeMB'],
          maxMemory: metrics['maxMemoryUsedMB'],
        });
      } catch {
        // A line that was cut off.
      }
    }
  }
  return {};
}

function clean(report: { [K in keyof Report]: number | undefined }): Report {
  return Object.fromEntries(Object.entries(report).filter(([, value]) => value !== undefined && !Number.isNaN(value)));
}

export interface Frame {
  text: string;
  /** Below the function's root. */
  file?: string;
  line?: number;
  column?: number;
}

/** A line of a stack, with where in the package it is. In process mode the root is a path of the host. */
export function frameOf(text: string): Frame {
  const found = /(file:\/\/)?(\/[^():]*?):(\d+)(?::(\d+))?\)?$/.exec(text.trimEnd());
  const path = found?.[2];
  if (path === undefined || path.startsWith('/var/runtime/') || path.includes('/node_modules/')) return { text };
  const file = /\/var\/task\/(.+)$/.exec(path)?.[1] ?? path.slice(1);
  // ES modules are named by addresses, CommonJS modules as they are.
  return { text, file: found?.[1] ? decoded(file) : file, line: Number(found![3]), column: Number(found![4] ?? 1) };
}
