// The queues: what is in them, and what one does with them by hand.

import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import Textarea from '@cloudscape-design/components/textarea';
import { useState } from 'react';

import { type QueueLine, queueLines } from '../client/own';
import { region } from '../client/session';
import { createQueue, deleteQueue, look, type Message, purgeQueue, redrive, sendMessage, urlOf } from '../client/sqs';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';
import { duration } from '../parts/numbers';

const INTERVAL = 2000;

export default function Queues() {
  const notices = useNotices();
  const queues = useLoaded(async () => (await queueLines()).filter((queue) => queue.region === region()), 'queues', INTERVAL);
  const [dialog, setDialog] = useState<'create' | 'delete' | 'purge'>();
  const choice = useChoice(queues, (item) => item.arn);
  const { all, chosen } = choice;
  const isTarget = chosen !== undefined && all.some((queue) => queue.dead_letter_queue === chosen.arn);
  const act = async (done: string, failed: string, deed: () => Promise<unknown>) => {
    await notices.act(done, failed, deed);
    setDialog(undefined);
    await queues.reload();
  };
  return (
    <SpaceBetween size="l">
      <ChosenTable
        choice={choice}
        page
        title="Queues"
        noun="Queue"
        nameOf={({ name }) => name}
        description={`In ${region()}`}
        empty="No queues yet."
        sortedBy="name"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button
              disabled={!isTarget}
              onClick={() => chosen && void act(`The messages of ${chosen.name} go back.`, 'Not redriven', () => redrive(chosen.arn))}
            >
              Redrive
            </Button>
            <Button disabled={!chosen} onClick={() => setDialog('purge')}>Purge</Button>
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete</Button>
            <Button variant="primary" onClick={() => setDialog('create')}>Create queue</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'name', header: 'Name', sortingField: 'name', isRowHeader: true, cell: (item) => item.name },
          { id: 'visible', header: 'Visible', sortingField: 'visible', cell: (item) => item.visible },
          { id: 'flight', header: 'In flight', sortingField: 'in_flight', cell: (item) => item.in_flight },
          { id: 'delayed', header: 'Delayed', sortingField: 'delayed', cell: (item) => item.delayed },
          { id: 'oldest', header: 'Oldest', cell: (item) => duration(item.oldest_seconds) },
          { id: 'dead', header: 'Dead letters to', cell: (item) => item.dead_letter_queue?.split(':').pop() ?? '–' },
        ]}
      />
      {chosen && <Messages key={chosen.arn} queue={chosen} sent={queues.reload} />}
      {dialog === 'create' && (
        <CreateQueue
          targets={all}
          close={() => setDialog(undefined)}
          create={(name, attributes) => act(`Created the queue ${name}.`, `${name} is not created`, () => createQueue(name, attributes))}
        />
      )}
      {chosen && dialog === 'delete' && (
        <ConfirmDelete
          what={`the queue ${chosen.name}`}
          consequence="Its messages go with it."
          close={() => setDialog(undefined)}
          confirm={() => act(`Deleted ${chosen.name}.`, `${chosen.name} is not deleted`, () => deleteQueue(urlOf(chosen.arn)))}
        />
      )}
      {chosen && dialog === 'purge' && (
        <ConfirmDelete
          what={`the queue ${chosen.name}`}
          word="purge"
          consequence="All of its messages are deleted."
          close={() => setDialog(undefined)}
          confirm={() => act(`Purged ${chosen.name}.`, `${chosen.name} is not purged`, () => purgeQueue(urlOf(chosen.arn)))}
        />
      )}
    </SpaceBetween>
  );
}

function Messages({ queue, sent }: { queue: QueueLine; sent: () => Promise<void> }) {
  const notices = useNotices();
  const fifo = queue.name.endsWith('.fifo');
  const [body, setBody] = useState('');
  const [group, setGroup] = useState('1');
  const [messages, setMessages] = useState<Message[]>();
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    await notices.act(`Sent a message to ${queue.name}.`, 'Not sent', async () => {
      await sendMessage(urlOf(queue.arn), body, fifo ? group : undefined);
      setBody('');
    });
    setBusy(false);
    await sent();
  };
  const peek = async () => {
    setBusy(true);
    await look(urlOf(queue.arn)).then(setMessages, (problem: unknown) => notices.failed('The messages cannot be read', problem));
    setBusy(false);
  };
  return (
    <Container
      header={<Header variant="h2" actions={<Button loading={busy} onClick={() => void peek()}>Look at messages</Button>}>{queue.name}</Header>}
    >
      <SpaceBetween size="m">
        <FormField label="Message" stretch><Textarea value={body} rows={3} spellcheck={false} onChange={({ detail }) => setBody(detail.value)} /></FormField>
        {fifo && <FormField label="Message group"><Input value={group} onChange={({ detail }) => setGroup(detail.value)} /></FormField>}
        <Button disabled={body === '' || busy} onClick={() => void send()}>Send message</Button>
        {messages && (
          <>
            <Alert type="info">Looking receives up to ten messages and gives them back at once. It counts as a receive: a queue with a maximum moves them to its dead-letter queue in the end.</Alert>
            <Table
              variant="embedded"
              items={messages}
              trackBy="MessageId"
              ariaLabels={{ tableLabel: 'Messages' }}
              empty={<Box textAlign="center">No message can be received now.</Box>}
              columnDefinitions={[
                { id: 'id', header: 'ID', isRowHeader: true, cell: (item) => item.MessageId },
                { id: 'body', header: 'Body', cell: (item) => <Box variant="code">{item.Body.slice(0, 500)}</Box> },
                { id: 'sent', header: 'Sent', cell: (item) => new Date(Number(item.Attributes?.['SentTimestamp'] ?? 0)).toLocaleString() },
                { id: 'received', header: 'Receives', cell: (item) => item.Attributes?.['ApproximateReceiveCount'] ?? '–' },
              ]}
            />
          </>
        )}
      </SpaceBetween>
    </Container>
  );
}

function CreateQueue({ targets, close, create }: { targets: QueueLine[]; close: () => void; create: (name: string, attributes: Record<string, string>) => Promise<void> }) {
  const [name, setName] = useState('');
  const [fifo, setFifo] = useState(false);
  const [dead, setDead] = useState('');
  const [count, setCount] = useState('3');
  const full = fifo && !name.endsWith('.fifo') ? `${name}.fifo` : name;
  const target = targets.find((queue) => queue.name === dead);
  const wrong = !/^[a-zA-Z0-9-_]{1,75}(\.fifo)?$/.test(full) || (dead !== '' && !target) || !/^\d+$/.test(count);
  const attributes = {
    ...(fifo && { FifoQueue: 'true' }),
    ...(target && { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: target.arn, maxReceiveCount: Number(count) }) }),
  };
  return (
    <Dialog title="Create queue" word="Create" wrong={wrong} close={close} submit={() => create(full, attributes)}>
      <FormField label="Queue name"><Input value={name} spellcheck={false} onChange={({ detail }) => setName(detail.value)} /></FormField>
      <Checkbox checked={fifo} onChange={({ detail }) => setFifo(detail.checked)}>FIFO: in order, and once</Checkbox>
      <FormField label="Dead-letter queue" description="Its name; empty for none" errorText={dead !== '' && !target ? 'There is no such queue.' : undefined}>
        <Input value={dead} spellcheck={false} onChange={({ detail }) => setDead(detail.value.trim())} />
      </FormField>
      {dead !== '' && <FormField label="Maximum receives"><Input type="number" value={count} onChange={({ detail }) => setCount(detail.value)} /></FormField>}
    </Dialog>
  );
}
