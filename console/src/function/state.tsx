// A function's state in one word and colour.

import StatusIndicator from '@cloudscape-design/components/status-indicator';

import type { Configuration } from '../client/lambda';

type Stated = Pick<Configuration, 'State' | 'LastUpdateStatus'>;

export function stateText(configuration: Stated): string {
  if (configuration.State === 'Active' && configuration.LastUpdateStatus === 'InProgress') return 'Updating';
  if (configuration.State === 'Active' && configuration.LastUpdateStatus === 'Failed') return 'Update failed';
  return configuration.State ?? 'Active';
}

export function State({ configuration }: { configuration: Stated }) {
  const text = stateText(configuration);
  const type = { Active: 'success', Pending: 'in-progress', Updating: 'in-progress', Inactive: 'stopped', Failed: 'error', 'Update failed': 'error' } as const;
  return <StatusIndicator type={type[text as keyof typeof type] ?? 'info'}>{text}</StatusIndicator>;
}
