// One topic: its subscriptions, and a message to all of them.

import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Select, { type SelectProps } from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Textarea from '@cloudscape-design/components/textarea';
import { useMemo, useState } from 'react';

import { allowTopic } from '../client/lambda';
import { queueLines } from '../client/own';
import { region } from '../client/session';
import { listSubscriptions, publish, subscribe, unsubscribe } from '../client/sns';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { Dialog } from '../parts/dialog';
import { Problem } from '../parts/problem';
import { useFunctionList } from './function_list';

export function Topic({ arn, name }: { arn: string; name: string }) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => listSubscriptions(arn), arn), ({ SubscriptionArn }) => SubscriptionArn);
  const { chosen, loaded } = choice;
  const [adding, setAdding] = useState(false);
  const remove = async (subscription: string) => {
    await notices.act('Deleted the subscription.', 'The subscription is not deleted', () => unsubscribe(subscription));
    await loaded.reload();
  };
  const add = async (protocol: string, endpoint: string, attributes: Record<string, string>) => {
    if (protocol === 'lambda') await allowTopic(endpoint.split(':')[6] ?? '', arn);
    await subscribe(arn, protocol, endpoint, attributes);
    notices.done(`Subscribed to ${name}.`);
    setAdding(false);
    await loaded.reload();
  };
  return (
    <SpaceBetween size="l">
      <ChosenTable
        choice={choice}
        title="Subscriptions"
        description={`Of ${name}`}
        noun="Subscription"
        nameOf={({ Endpoint }) => Endpoint}
        empty="Nobody subscribes."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => chosen && void remove(chosen.SubscriptionArn)}>Delete subscription</Button>
            <Button onClick={() => setAdding(true)}>Create subscription</Button>
          </SpaceBetween>
        }
        columns={[
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
  const [subject, setSubject] = useState('');
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    await notices.act(`Published a message to ${name}.`, 'Not published', async () => {
      await publish(arn, text, subject);
      setText('');
    });
    setBusy(false);
  };
  return (
    <Container header={<Header variant="h2" actions={<Button disabled={text === ''} loading={busy} onClick={() => void send()}>Publish message</Button>}>Message</Header>}>
      <SpaceBetween size="m">
        <FormField label={<span>Subject <i>– optional</i></span>}><Input value={subject} onChange={({ detail }) => setSubject(detail.value)} /></FormField>
        <FormField label="Message body" stretch><Textarea value={text} rows={3} spellcheck={false} onChange={({ detail }) => setText(detail.value)} /></FormField>
      </SpaceBetween>
    </Container>
  );
}

const option = (protocol: string, arn: string) => ({ value: `${protocol} ${arn}`, label: arn.split(':').pop() ?? arn, description: arn });

function Subscribe({ close, add }: { close: () => void; add: (protocol: string, endpoint: string, attributes: Record<string, string>) => Promise<void> }) {
  // Those that are read can be chosen, while more come.
  const functions = useFunctionList(0);
  const queues = useLoaded(async () => (await queueLines()).filter((queue) => queue.region === region()), 'queues');
  const [chosen, setChosen] = useState<SelectProps.Option | null>(null);
  const [raw, setRaw] = useState(false);
  const [filter, setFilter] = useState('');
  const [protocol = '', endpoint = ''] = (chosen?.value ?? '').split(' ');
  const queue = protocol === 'sqs';
  const options = useMemo(
    () => [
      { label: 'Queues', options: (queues.value ?? []).map(({ arn }) => option('sqs', arn)) },
      { label: 'Functions', options: functions.items.map(({ FunctionArn: arn }) => option('lambda', arn)) },
    ],
    [queues.value, functions.items],
  );
  const submit = () => add(protocol, endpoint, { ...(queue && raw && { RawMessageDelivery: 'true' }), ...(filter.trim() && { FilterPolicy: filter.trim() }) });
  return (
    <Dialog title="Create subscription" word="Subscribe" wrong={chosen === null} close={close} submit={submit}>
      <Problem error={functions.error ?? queues.error} />
      <FormField label="Function or queue">
        <Select
          placeholder="Choose who gets the messages"
          filteringType="auto"
          filteringAriaLabel="Find a function or a queue"
          virtualScroll
          selectedOption={chosen}
          options={options}
          statusType={functions.reading || queues.loading ? 'loading' : 'finished'}
          onChange={({ detail }) => setChosen(detail.selectedOption)}
        />
      </FormField>
      {queue && <Checkbox checked={raw} onChange={({ detail }) => setRaw(detail.checked)}>Raw message delivery</Checkbox>}
      <FormField label={<span>Filter policy <i>– optional</i></span>} description="JSON, over the message's attributes">
        <Textarea value={filter} rows={3} spellcheck={false} placeholder='{"kind": ["order"]}' onChange={({ detail }) => setFilter(detail.value)} />
      </FormField>
    </Dialog>
  );
}
