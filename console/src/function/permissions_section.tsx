// Who else may invoke a function: the statements of its resource-based policy.

import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { addPermission, getStatements, removePermission, type Statement } from '../client/lambda';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { Dialog } from '../parts/dialog';
import type { Section } from './configuration_tab';

const ACTIONS = ['lambda:InvokeFunction', 'lambda:InvokeFunctionUrl', 'lambda:GetFunction', 'lambda:*'];

export function PermissionsSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => getStatements(name), name), ({ Sid: sid }) => sid);
  const { chosen, loaded } = choice;
  const [adding, setAdding] = useState(false);
  const remove = async ({ Sid: sid }: Statement) => {
    await notices.act(`Removed the statement ${sid}.`, `${sid} is not removed`, () => removePermission(name, sid));
    await loaded.reload();
  };
  const add = async (input: Record<string, unknown>) => {
    await addPermission(name, input);
    notices.done('Added the statement.');
    setAdding(false);
    await loaded.reload();
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        title="Permissions"
        noun="Statement"
        nameOf={({ Sid: sid }) => sid}
        description="Statements of the function's policy"
        empty="Only the owner may use it."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => chosen && void remove(chosen)}>Remove statement</Button>
            <Button onClick={() => setAdding(true)}>Add permission</Button>
          </SpaceBetween>
        }
        columns={[
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
  const submit = () => add({ StatementId: sid, Principal: principal, Action: action, ...(source && { SourceArn: source }) });
  return (
    <Dialog title="Add permission" word="Add" wrong={sid === '' || principal === ''} close={close} submit={submit}>
      <FormField label="Statement ID"><Input value={sid} spellcheck={false} onChange={({ detail }) => setSid(detail.value.trim())} /></FormField>
      <FormField label="Principal" description="An account, an ARN, a service such as events.amazonaws.com, or *"><Input value={principal} spellcheck={false} onChange={({ detail }) => setPrincipal(detail.value.trim())} /></FormField>
      <FormField label="Action">
        <Select selectedOption={{ value: action, label: action }} options={ACTIONS.map((value) => ({ value, label: value }))} onChange={({ detail }) => setAction(detail.selectedOption.value ?? action)} />
      </FormField>
      <FormField label={<span>Source ARN <i>– optional</i></span>}><Input value={source} spellcheck={false} onChange={({ detail }) => setSource(detail.value.trim())} /></FormField>
    </Dialog>
  );
}
