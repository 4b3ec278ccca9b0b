// Who else may invoke a function: the statements of its resource-based policy.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import { useState } from 'react';

import { addPermission, getStatements, removePermission, type Statement } from '../client/lambda';
import { said } from '../client/request';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { Problem } from '../parts/problem';
import type { Section } from './configuration_tab';

const ACTIONS = ['lambda:InvokeFunction', 'lambda:InvokeFunctionUrl', 'lambda:GetFunction', 'lambda:*'];

export function PermissionsSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  const notices = useNotices();
  const statements = useLoaded(() => getStatements(name), name);
  const [selected, setSelected] = useState<Statement[]>([]);
  const [adding, setAdding] = useState(false);
  const chosen = statements.value?.find(({ Sid }) => Sid === selected[0]?.Sid);
  const remove = async ({ Sid: sid }: Statement) => {
    try {
      await removePermission(name, sid);
      notices.done(`Removed the statement ${sid}.`);
    } catch (problem) {
      notices.failed(`${sid} is not removed`, problem);
    }
    await statements.reload();
  };
  const add = async (input: Record<string, unknown>) => {
    await addPermission(name, input);
    notices.done('Added the statement.');
    setAdding(false);
    await statements.reload();
  };
  return (
    <>
      <Table
        variant="container"
        loading={statements.loading && statements.value === undefined}
        items={statements.value ?? []}
        trackBy="Sid"
        selectionType="single"
        selectedItems={chosen ? [chosen] : []}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems)}
        ariaLabels={{ tableLabel: 'Permissions', selectionGroupLabel: 'Statement', itemSelectionLabel: (_, item) => `Select ${item.Sid}` }}
        empty={statements.error === undefined ? <Box textAlign="center">Only the owner may use it.</Box> : <Problem error={statements.error} retry={() => void statements.reload()} />}
        header={
          <Header
            variant="h2"
            counter={`(${statements.value?.length ?? 0})`}
            description="Statements of the function's policy"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={!chosen} onClick={() => chosen && void remove(chosen)}>Remove statement</Button>
                <Button onClick={() => setAdding(true)}>Add permission</Button>
              </SpaceBetween>
            }
          >
            Permissions
          </Header>
        }
        columnDefinitions={[
          { id: 'sid', header: 'Statement ID', isRowHeader: true, cell: ({ Sid }) => Sid },
          { id: 'effect', header: 'Effect', cell: ({ Effect }) => Effect },
          { id: 'principal', header: 'Principal', cell: ({ Principal }) => principalOf(Principal) },
          { id: 'action', header: 'Action', cell: ({ Action }) => [Action].flat().join(', ') },
          { id: 'condition', header: 'Condition', cell: ({ Condition }) => (Condition === undefined ? '–' : <Box variant="code">{JSON.stringify(Condition)}</Box>) },
        ]}
      />
      {adding && <AddPermission close={() => setAdding(false)} add={add} />}
    </>
  );
}

function principalOf(principal: unknown): string {
  if (typeof principal === 'string') return principal;
  return Object.values(principal as Record<string, string | string[]>).flat().join(', ');
}

function AddPermission({ close, add }: { close: () => void; add: (input: Record<string, unknown>) => Promise<void> }) {
  const [sid, setSid] = useState('');
  const [principal, setPrincipal] = useState('');
  const [action, setAction] = useState(ACTIONS[0] ?? '');
  const [source, setSource] = useState('');
  const [error, setError] = useState<unknown>();
  const submit = () => {
    const input = { StatementId: sid, Principal: principal, Action: action, ...(source && { SourceArn: source }) };
    add(input).catch(setError);
  };
  return (
    <Modal
      visible
      onDismiss={close}
      header="Add permission"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" disabled={sid === '' || principal === ''} onClick={submit}>Add</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField label="Statement ID"><Input value={sid} autoFocus spellcheck={false} onChange={({ detail }) => setSid(detail.value.trim())} /></FormField>
        <FormField label="Principal" description="An account, an ARN, a service such as events.amazonaws.com, or *"><Input value={principal} spellcheck={false} onChange={({ detail }) => setPrincipal(detail.value.trim())} /></FormField>
        <FormField label="Action">
          <Select selectedOption={{ value: action, label: action }} options={ACTIONS.map((value) => ({ value, label: value }))} onChange={({ detail }) => setAction(detail.selectedOption.value ?? action)} />
        </FormField>
        <FormField label={<span>Source ARN <i>– optional</i></span>} errorText={error === undefined ? undefined : said(error)}>
          <Input value={source} spellcheck={false} onChange={({ detail }) => setSource(detail.value.trim())} />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
