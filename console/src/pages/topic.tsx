// One topic: its subscriptions, and a message to all of them.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Select, { type SelectProps } from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import Textarea from '@cloudscape-design/components/textarea';
import { useState } from 'react';

import { listFunctions } from '../client/lambda';
import { queueLines } from '../client/own';
import { said } from '../client/request';
import { region } from '../client/session';
import { listSubscriptions, publish, subscribe, unsubscribe } from '../client/sns';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { Problem } from '../parts/problem';

export function Topic({ arn, name }: { arn: string; name: string }) {
  const notices = useNotices();
  const subscriptions = useLoaded(() => listSubscriptions(arn), arn);
  const [selected, setSelected] = useState<string>();
  const [adding, setAdding] = useState(false);
  const chosen = subscriptions.value?.find(({ SubscriptionArn }) => SubscriptionArn === selected);
  const remove = async (subscription: string) => {
    try {
      await unsubscribe(subscription);
      notices.done('Deleted the subscription.');
    } catch (problem) {
      notices.failed('The subscription is not deleted', problem);
    }
    await subscriptions.reload();
  };
  const add = async (protocol: string, endpoint: string, attributes: Record<string, string>) => {
    await subscribe(arn, protocol, endpoint, attributes);
    notices.done(`Subscribed to ${name}.`);
    setAdding(false);
    await subscriptions.reload();
  };
  return (
    <SpaceBetween size="l">
      <Table
        variant="container"
        items={subscriptions.value ?? []}
        loading={subscriptions.loading}
        trackBy="SubscriptionArn"
        selectionType="single"
        selectedItems={chosen ? [chosen] : []}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems[0]?.SubscriptionArn)}
        ariaLabels={{ tableLabel: 'Subscriptions', selectionGroupLabel: 'Subscription', itemSelectionLabel: (_, item) => `Select ${item.Endpoint}` }}
        empty={subscriptions.error === undefined ? <Box textAlign="center">Nobody subscribes.</Box> : <Problem error={subscriptions.error} retry={() => void subscriptions.reload()} />}
        header={
          <Header
            variant="h2"
            counter={`(${subscriptions.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={!chosen} onClick={() => chosen && void remove(chosen.SubscriptionArn)}>Delete subscription</Button>
                <Button onClick={() => setAdding(true)}>Create subscription</Button>
              </SpaceBetween>
            }
          >
            Subscriptions of {name}
          </Header>
        }
        columnDefinitions={[
          { id: 'protocol', header: 'Protocol', cell: (item) => item.Protocol },
          { id: 'endpoint', header: 'Endpoint', isRowHeader: true, cell: (item) => item.Endpoint },
        ]}
      />
      <Message arn={arn} name={name} />
      {adding && <Subscribe close={() => setAdding(false)} add={add} />}
    </SpaceBetween>
  );
}

function Message({ arn, name }: { arn: string; name: string }) {
  const notices = useNotices();
  const fifo = name.endsWith('.fifo');
  const [subject, setSubject] = useState('');
  const [text, setText] = useState('');
  const [group, setGroup] = useState('1');
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    try {
      await publish(arn, text, subject, fifo ? group : undefined);
      notices.done(`Published a message to ${name}.`);
      setText('');
    } catch (problem) {
      notices.failed('Not published', problem);
    }
    setBusy(false);
  };
  return (
    <Container header={<Header variant="h2" actions={<Button disabled={text === ''} loading={busy} onClick={() => void send()}>Publish message</Button>}>Message</Header>}>
      <SpaceBetween size="m">
        <FormField label={<span>Subject <i>– optional</i></span>}><Input value={subject} onChange={({ detail }) => setSubject(detail.value)} /></FormField>
        {fifo && <FormField label="Message group"><Input value={group} onChange={({ detail }) => setGroup(detail.value)} /></FormField>}
        <FormField label="Message body" stretch><Textarea value={text} rows={3} spellcheck={false} onChange={({ detail }) => setText(detail.value)} /></FormField>
      </SpaceBetween>
    </Container>
  );
}

async function endpoints(): Promise<SelectProps.Options> {
  const functions: string[] = [];
  for await (const page of listFunctions()) functions.push(...page.map(({ FunctionArn }) => FunctionArn));
  const queues = (await queueLines()).filter((queue) => queue.region === region()).map(({ arn }) => arn);
  const option = (protocol: string) => (arn: string) => ({ value: `${protocol} ${arn}`, label: arn.split(':').pop() ?? arn, description: arn });
  return [
    { label: 'Functions', options: functions.map(option('lambda')) },
    { label: 'Queues', options: queues.map(option('sqs')) },
  ];
}

function Subscribe({ close, add }: { close: () => void; add: (protocol: string, endpoint: string, attributes: Record<string, string>) => Promise<void> }) {
  const loaded = useLoaded(endpoints, 'endpoints');
  const [chosen, setChosen] = useState<SelectProps.Option | null>(null);
  const [raw, setRaw] = useState(false);
  const [filter, setFilter] = useState('');
  const [error, setError] = useState<unknown>();
  const [protocol = '', endpoint = ''] = (chosen?.value ?? '').split(' ');
  const queue = protocol === 'sqs';
  const submit = () => {
    const attributes = { ...(queue && raw && { RawMessageDelivery: 'true' }), ...(filter.trim() && { FilterPolicy: filter.trim() }) };
    add(protocol, endpoint, attributes).catch(setError);
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header="Create subscription"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" disabled={chosen === null} onClick={submit}>Subscribe</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Problem error={loaded.error} />
        <FormField label="Function or queue">
          <Select
            placeholder="Choose who gets the messages"
            filteringType="auto"
            virtualScroll
            selectedOption={chosen}
            options={loaded.value ?? []}
            statusType={loaded.loading ? 'loading' : 'finished'}
            onChange={({ detail }) => setChosen(detail.selectedOption)}
          />
        </FormField>
        {queue && <Checkbox checked={raw} onChange={({ detail }) => setRaw(detail.checked)}>Raw message delivery</Checkbox>}
        <FormField label={<span>Filter policy <i>– optional</i></span>} description="JSON, over the message's attributes" errorText={error === undefined ? undefined : said(error)}>
          <Textarea value={filter} rows={3} spellcheck={false} placeholder='{"kind": ["order"]}' onChange={({ detail }) => setFilter(detail.value)} />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
