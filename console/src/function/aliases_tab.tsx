// The aliases of a function: names of versions, which may share their traffic with a second one.

import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';

import { type Alias, type AliasInput, createAlias, deleteAlias, LATEST, listAliases, listVersions, updateAlias } from '../client/lambda';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';

const weightsOf = (alias: Alias | undefined) => Object.entries(alias?.RoutingConfig?.AdditionalVersionWeights ?? {});

export function AliasesTab({ name, test }: { name: string; test: (alias: string) => void }) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => listAliases(name), name), ({ Name }) => Name);
  const { chosen, loaded } = choice;
  const [dialog, setDialog] = useState<'create' | 'edit' | 'delete'>();
  const close = () => setDialog(undefined);
  const save = async (alias: string, input: AliasInput) => {
    if (dialog === 'edit' && chosen) await updateAlias(name, alias, { ...input, RevisionId: chosen.RevisionId });
    else await createAlias(name, alias, input);
    notices.done(`The alias ${alias} is ${dialog === 'edit' ? 'changed' : 'created'}.`);
    close();
    await loaded.reload();
  };
  const remove = async (alias: string) => {
    await notices.act(`Deleted the alias ${alias}.`, `${alias} is not deleted`, () => deleteAlias(name, alias));
    close();
    await loaded.reload();
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        title="Aliases"
        noun="Alias"
        nameOf={(item) => `alias ${item.Name}`}
        empty="No aliases."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => chosen && test(chosen.Name)}>Test alias</Button>
            <Button disabled={!chosen} onClick={() => setDialog('edit')}>Edit alias</Button>
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete alias</Button>
            <Button onClick={() => setDialog('create')}>Create alias</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'name', header: 'Name', isRowHeader: true, cell: (item) => item.Name },
          { id: 'versions', header: 'Versions', cell: routes },
          { id: 'description', header: 'Description', cell: (item) => item.Description || '–' },
        ]}
      />
      {(dialog === 'create' || (dialog === 'edit' && chosen)) && <Edit name={name} alias={dialog === 'edit' ? chosen : undefined} close={close} save={save} />}
      {chosen && dialog === 'delete' && <ConfirmDelete what={`the alias ${chosen.Name}`} consequence="Who invokes it gets an error." close={close} confirm={() => remove(chosen.Name)} />}
    </>
  );
}

/** `2 (90 %), 3 (10 %)`. */
function routes(alias: Alias): string {
  const [other] = weightsOf(alias);
  if (other === undefined) return alias.FunctionVersion;
  const share = Math.round(other[1] * 1000) / 10;
  return `${alias.FunctionVersion} (${100 - share} %), ${other[0]} (${share} %)`;
}

function Edit({ name, alias, close, save }: { name: string; alias: Alias | undefined; close: () => void; save: (alias: string, input: AliasInput) => Promise<void> }) {
  const versions = useLoaded(() => listVersions(name), name);
  const [former] = weightsOf(alias);
  const [text, setText] = useState(alias?.Name ?? '');
  const [version, setVersion] = useState(alias?.FunctionVersion ?? LATEST);
  const [description, setDescription] = useState(alias?.Description ?? '');
  const [second, setSecond] = useState(former?.[0] ?? '');
  const [share, setShare] = useState(String(Math.round((former?.[1] ?? 0.1) * 1000) / 10));
  const options = (versions.value ?? []).map(({ Version: value, Description: words }) => ({ value, label: value, description: words }));
  const weight = Number(share) / 100;
  const wrong = text === '' || (second !== '' && !(weight >= 0 && weight <= 1));
  const submit = () => save(text, { FunctionVersion: version, Description: description, RoutingConfig: { AdditionalVersionWeights: second === '' ? {} : { [second]: weight } } });
  return (
    <Dialog title={alias ? `Edit the alias ${alias.Name}` : 'Create alias'} word={alias ? 'Save' : 'Create'} wrong={wrong} close={close} submit={submit}>
      <FormField label="Alias name"><Input value={text} disabled={alias !== undefined} spellcheck={false} onChange={({ detail }) => setText(detail.value.trim())} /></FormField>
      <FormField label="Version">
        <Select selectedOption={{ value: version, label: version }} options={options} onChange={({ detail }) => setVersion(detail.selectedOption.value ?? version)} />
      </FormField>
      <FormField label="Additional version">
        <Select
          selectedOption={{ value: second, label: second || 'None' }}
          options={[{ value: '', label: 'None' }, ...options.filter(({ value }) => value !== LATEST && value !== version)]}
          onChange={({ detail }) => setSecond(detail.selectedOption.value ?? '')}
        />
      </FormField>
      {second !== '' && <FormField label="Its weight (%)"><Input type="number" value={share} onChange={({ detail }) => setShare(detail.value)} /></FormField>}
      <FormField label={<span>Description <i>– optional</i></span>}><Input value={description} onChange={({ detail }) => setDescription(detail.value)} /></FormField>
    </Dialog>
  );
}
