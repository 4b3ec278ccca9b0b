// The topics: who subscribes to them, and publishing by hand.

import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { region } from '../client/session';
import { createTopic, deleteTopic, listTopics } from '../client/sns';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';
import { Topic } from './topic';

interface Item {
  arn: string;
  name: string;
}

export default function Topics() {
  const notices = useNotices();
  const topics = useLoaded(async () => (await listTopics()).map((arn): Item => ({ arn, name: arn.split(':').pop() ?? arn })), 'topics');
  const [dialog, setDialog] = useState<'create' | 'delete'>();
  const choice = useChoice(topics, (item) => item.arn);
  const { chosen } = choice;
  const act = async (done: string, failed: string, deed: () => Promise<unknown>) => {
    await notices.act(done, failed, deed);
    setDialog(undefined);
    await topics.reload();
  };
  return (
    <SpaceBetween size="l">
      <ChosenTable
        choice={choice}
        page
        title="Topics"
        noun="Topic"
        nameOf={({ name }) => name}
        description={`In ${region()}`}
        empty="No topics yet."
        sortedBy="name"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete</Button>
            <Button variant="primary" onClick={() => setDialog('create')}>Create topic</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'name', header: 'Name', sortingField: 'name', isRowHeader: true, cell: (item) => item.name },
          { id: 'arn', header: 'ARN', cell: (item) => item.arn },
        ]}
      />
      {chosen && <Topic key={chosen.arn} arn={chosen.arn} name={chosen.name} />}
      {dialog === 'create' && (
        <CreateTopic close={() => setDialog(undefined)} create={(name) => act(`Created the topic ${name}.`, `${name} is not created`, async () => choice.choose(await createTopic(name)))} />
      )}
      {chosen && dialog === 'delete' && (
        <ConfirmDelete
          what={`the topic ${chosen.name}`}
          consequence="Its subscriptions go with it."
          close={() => setDialog(undefined)}
          confirm={() => act(`Deleted ${chosen.name}.`, `${chosen.name} is not deleted`, () => deleteTopic(chosen.arn))}
        />
      )}
    </SpaceBetween>
  );
}

function CreateTopic({ close, create }: { close: () => void; create: (name: string) => Promise<void> }) {
  const [name, setName] = useState('');
  const wrong = !/^[a-zA-Z0-9-_]{1,256}$/.test(name);
  return (
    <Dialog title="Create topic" word="Create" wrong={wrong} close={close} submit={() => create(name)}>
      <FormField label="Topic name"><Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value.trim())} /></FormField>
    </Dialog>
  );
}
