// One log group: its lines, how long they are kept, and its end.

import Button from '@cloudscape-design/components/button';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { deleteLogGroup, logGroup, putRetention } from '../client/logs';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ConfirmDelete } from '../parts/confirm_delete';
import { LogView } from '../parts/log_view';
import { Problem } from '../parts/problem';
import { go } from '../router';
import { retention } from './log_groups';

/** Those that one wants of AWS's. */
const DAYS = [1, 3, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653];

export default function LogGroupPage({ name }: { name: string }) {
  const notices = useNotices();
  const group = useLoaded(() => logGroup(name), name);
  const [deleting, setDeleting] = useState(false);
  const days = group.value?.retentionInDays;
  const options = [undefined, ...new Set([...DAYS, ...(days === undefined ? [] : [days])])].map((each) => ({ value: String(each), label: retention(each) }));
  const keep = async (wanted: number | undefined) => {
    try {
      await putRetention(name, wanted);
      await group.reload();
      notices.done(`${name} is kept: ${retention(wanted).toLowerCase()}.`);
    } catch (problem) {
      notices.failed('The retention is not changed', problem);
    }
  };
  const remove = async () => {
    try {
      await deleteLogGroup(name);
      notices.done(`Deleted ${name}.`);
      go('#/logs');
    } catch (problem) {
      notices.failed(`${name} is not deleted`, problem);
      setDeleting(false);
    }
  };
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Select
                ariaLabel="Retention"
                inlineLabelText="Retention"
                disabled={group.value === undefined}
                selectedOption={{ value: String(days), label: retention(days) }}
                options={options}
                onChange={({ detail: { selectedOption: { value } } }) => void keep(value === 'undefined' ? undefined : Number(value))}
              />
              <Button disabled={group.value === undefined} onClick={() => setDeleting(true)}>Delete</Button>
            </SpaceBetween>
          }
        >
          {name}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Problem error={group.error} retry={() => void group.reload()} header="The log group cannot be read" />
        <LogView key={name} group={name} title="Log events" />
      </SpaceBetween>
      {deleting && <ConfirmDelete what={`the log group ${name}`} consequence="All of its lines go with it." close={() => setDeleting(false)} confirm={remove} />}
    </ContentLayout>
  );
}
