// Event source mappings: of one function, as its triggers, or all of them.

import Button from '@cloudscape-design/components/button';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useState } from 'react';

import { createMapping, deleteMapping, listMappings, type Mapping, updateMapping } from '../client/lambda';
import { region } from '../client/session';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { follow, to } from '../router';
import { ChosenTable, useChoice } from './chosen_table';
import { MappingDialog } from './mapping_dialog';

/** Often enough to see a state move on. */
const INTERVAL = 3000;

const lastOf = (arn: string) => arn.split(':').pop() ?? arn;

/** A function by its name, an alias or a version with it. */
const functionOf = ({ FunctionArn: arn }: Mapping) => arn.split(':').slice(6).join(':');

export function Mappings({ functionName }: { functionName?: string }) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => listMappings(functionName), functionName ?? '', INTERVAL), ({ UUID: uuid }) => uuid);
  const { chosen, loaded } = choice;
  const [dialog, setDialog] = useState<'add' | 'edit'>();
  const page = functionName === undefined;
  const word = page ? 'mapping' : 'trigger';
  /** Until it is either, changes are refused. */
  const settled = chosen?.State === 'Enabled' || chosen?.State === 'Disabled';
  const enabled = chosen?.State === 'Enabled' || chosen?.State === 'Enabling';
  const act = async (what: string, deed: () => Promise<unknown>) => {
    try {
      await deed();
    } catch (problem) {
      notices.failed(`The ${word} is not ${what}`, problem);
    }
    await loaded.reload();
  };
  const saved = async (what: string, asked: Promise<Mapping>) => {
    const { UUID: uuid } = await asked;
    await loaded.reload();
    choice.choose(uuid);
    notices.done(`${what} the ${word}.`);
    setDialog(undefined);
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        page={page}
        title={page ? 'Event source mappings' : 'Triggers'}
        {...(page && { description: `In ${region()}` })}
        noun={page ? 'Event source mapping' : 'Trigger'}
        nameOf={(item) => (page ? `${lastOf(item.EventSourceArn)} for ${functionOf(item)}` : item.EventSourceArn)}
        empty="No queue is worked on."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!settled} onClick={() => chosen && void act('changed', () => updateMapping(chosen.UUID, { Enabled: !enabled }))}>{enabled ? 'Disable' : 'Enable'}</Button>
            <Button disabled={!settled} onClick={() => setDialog('edit')}>Edit {word}</Button>
            <Button disabled={!chosen} onClick={() => chosen && void act('deleted', () => deleteMapping(chosen.UUID))}>Delete {word}</Button>
            <Button variant={page ? 'primary' : 'normal'} onClick={() => setDialog('add')}>Add {word}</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'queue', header: 'Queue', isRowHeader: true, sortingField: 'EventSourceArn', cell: (item) => lastOf(item.EventSourceArn) },
          ...(page ? [{
            id: 'function', header: 'Function', sortingField: 'FunctionArn',
            cell: (item: Mapping) => <Link href={to('functions', functionOf(item).split(':')[0] ?? '', 'configuration')} onFollow={follow}>{functionOf(item)}</Link>,
          }] : []),
          { id: 'state', header: 'State', sortingField: 'State', cell: (item) => <StatusIndicator type={item.State === 'Enabled' ? 'success' : item.State === 'Disabled' ? 'stopped' : 'in-progress'}>{item.State}</StatusIndicator> },
          { id: 'batch', header: 'Batch size', cell: (item) => item.BatchSize },
          { id: 'window', header: 'Window', cell: (item) => `${item.MaximumBatchingWindowInSeconds ?? 0} s` },
          { id: 'filters', header: 'Filters', cell: (item) => item.FilterCriteria?.Filters?.length ?? 0 },
          { id: 'partial', header: 'Partial failures', cell: (item) => (item.FunctionResponseTypes?.includes('ReportBatchItemFailures') ? 'reported' : '–') },
        ]}
      />
      {dialog === 'add' && (
        <MappingDialog word={word} mapping={undefined} functionName={functionName} close={() => setDialog(undefined)} save={(input) => saved('Added', createMapping(input))} />
      )}
      {dialog === 'edit' && chosen && (
        <MappingDialog word={word} mapping={chosen} functionName={functionName} close={() => setDialog(undefined)} save={(input) => saved('Changed', updateMapping(chosen.UUID, input))} />
      )}
    </>
  );
}
