// The addresses by which a function, or an alias of it, is called over HTTP: who may, how it answers, what browsers are told.

import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Link from '@cloudscape-design/components/link';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useEffect, useState } from 'react';

import { LATEST, listAliases } from '../client/lambda';
import { type Cors, createUrl, deleteUrl, type FunctionUrl, isPublic, listUrls, setPublic, updateUrl, type UrlInput } from '../client/urls';
import { useLoaded } from '../load';
import { useNotices } from '../notices';
import { ChosenTable, useChoice } from '../parts/chosen_table';
import { ConfirmDelete } from '../parts/confirm_delete';
import { Dialog } from '../parts/dialog';
import type { Section } from './configuration_tab';

const MODES: Record<UrlInput['InvokeMode'], string> = { BUFFERED: 'Buffered: at once, up to 6 MB', RESPONSE_STREAM: 'Response streaming: piece by piece' };
const AUTH: Record<UrlInput['AuthType'], string> = { AWS_IAM: 'AWS_IAM: signed requests of who may', NONE: 'NONE: requests need no signature' };

const qualifierOf = (url: FunctionUrl) => url.FunctionArn.split(':')[7] ?? LATEST;

export function UrlsSection({ document: { Configuration: { FunctionName: name } } }: Section) {
  const notices = useNotices();
  const choice = useChoice(useLoaded(() => listUrls(name), name), qualifierOf);
  const { chosen, loaded } = choice;
  const [dialog, setDialog] = useState<'create' | 'edit' | 'delete'>();
  const save = async (qualifier: string, input: UrlInput, open: boolean) => {
    const { FunctionUrl: url } = await (dialog === 'create' ? createUrl : updateUrl)(name, qualifier, input);
    // From here on it is there: a second attempt changes it.
    setDialog('edit');
    choice.choose(qualifier);
    await setPublic(name, qualifier, open);
    notices.done(`${url} is ${dialog === 'create' ? 'created' : 'changed'}.`);
    setDialog(undefined);
    await loaded.reload();
  };
  const remove = async (url: FunctionUrl) => {
    await notices.act('Deleted the function URL.', 'The function URL is not deleted', async () => {
      await deleteUrl(name, qualifierOf(url));
      await setPublic(name, qualifierOf(url), false);
    });
    setDialog(undefined);
    await loaded.reload();
  };
  return (
    <>
      <ChosenTable
        choice={choice}
        title="Function URLs"
        noun="Function URL"
        nameOf={(url) => `the URL of ${qualifierOf(url)}`}
        description="Its own address for HTTP, one for the function and one for each alias"
        empty="It has no URL."
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button disabled={!chosen} onClick={() => setDialog('edit')}>Edit URL</Button>
            <Button disabled={!chosen} onClick={() => setDialog('delete')}>Delete URL</Button>
            <Button onClick={() => setDialog('create')}>Create function URL</Button>
          </SpaceBetween>
        }
        columns={[
          { id: 'url', header: 'URL', isRowHeader: true, cell: ({ FunctionUrl: url }) => <Link href={url} external externalIconAriaLabel="In a tab of its own">{url}</Link> },
          { id: 'of', header: 'Of', cell: qualifierOf },
          { id: 'auth', header: 'Auth type', cell: ({ AuthType: type }) => type },
          { id: 'mode', header: 'Invoke mode', cell: ({ InvokeMode: mode }) => mode ?? 'BUFFERED' },
          { id: 'cors', header: 'CORS', cell: ({ Cors: cors }) => (cors === undefined ? '–' : (cors.AllowOrigins ?? []).join(', ') || 'set') },
        ]}
      />
      {dialog === 'create' && <UrlDialog name={name} former={undefined} taken={choice.all.map(qualifierOf)} close={() => setDialog(undefined)} save={save} />}
      {dialog === 'edit' && chosen && <UrlDialog name={name} former={chosen} taken={[]} close={() => setDialog(undefined)} save={save} />}
      {dialog === 'delete' && chosen && (
        <ConfirmDelete
          what={`the URL of ${qualifierOf(chosen)}`}
          consequence="Nobody is answered there any more; another one would have another address."
          close={() => setDialog(undefined)}
          confirm={() => remove(chosen)}
        />
      )}
    </>
  );
}

interface DialogProperties {
  name: string;
  former: FunctionUrl | undefined;
  /** Who has a URL. */
  taken: string[];
  close: () => void;
  save: (qualifier: string, input: UrlInput, open: boolean) => Promise<void>;
}

/** What is typed of CORS, each list with commas. */
type Typed = Record<'AllowOrigins' | 'AllowMethods' | 'AllowHeaders' | 'ExposeHeaders' | 'MaxAge', string>;

const LISTS = ['AllowOrigins', 'AllowMethods', 'AllowHeaders', 'ExposeHeaders'] as const;

function typed(cors: Cors = {}): Typed {
  const list = (values: string[] | undefined) => (values ?? []).join(', ');
  return {
    AllowOrigins: list(cors.AllowOrigins), AllowMethods: list(cors.AllowMethods), AllowHeaders: list(cors.AllowHeaders),
    ExposeHeaders: list(cors.ExposeHeaders), MaxAge: String(cors.MaxAge ?? ''),
  };
}

function corsOf(form: Typed, credentials: boolean): Cors {
  const cors: Cors = {};
  for (const list of LISTS) {
    const values = form[list].split(',').map((value) => value.trim()).filter(Boolean);
    if (values.length > 0) cors[list] = values;
  }
  if (form.MaxAge !== '') cors.MaxAge = Number(form.MaxAge);
  if (credentials) cors.AllowCredentials = true;
  return cors;
}

function UrlDialog({ name, former, taken, close, save }: DialogProperties) {
  const aliases = useLoaded(() => listAliases(name), name);
  const free = [LATEST, ...(aliases.value ?? []).map(({ Name }) => Name)].filter((each) => !taken.includes(each));
  const [chosen, setChosen] = useState(former && qualifierOf(former));
  const [auth, setAuth] = useState<UrlInput['AuthType']>(former?.AuthType ?? 'AWS_IAM');
  const [mode, setMode] = useState<UrlInput['InvokeMode']>(former?.InvokeMode ?? 'BUFFERED');
  const [open, setOpen] = useState(true);
  const [cors, setCors] = useState(former?.Cors !== undefined);
  const [credentials, setCredentials] = useState(former?.Cors?.AllowCredentials ?? false);
  const [form, setForm] = useState(typed(former?.Cors ?? { AllowOrigins: ['*'] }));
  const qualifier = chosen ?? free[0];
  // What was opened by hand in other words stays as it is.
  useEffect(() => {
    if (former?.AuthType === 'NONE') isPublic(name, qualifierOf(former)).then(setOpen, () => setOpen(false));
  }, [former, name]);
  const submit = async () => {
    if (qualifier === undefined) return;
    const input = { AuthType: auth, InvokeMode: mode, Cors: cors ? corsOf(form, credentials) : {} };
    await save(qualifier, input, auth === 'NONE' && open);
  };
  const field = (member: keyof Typed, label: string, description: string) => (
    <FormField label={label} description={description}>
      <Input value={form[member]} spellcheck={false} onChange={({ detail }) => setForm({ ...form, [member]: detail.value })} />
    </FormField>
  );
  return (
    <Dialog title={former ? `Edit the URL of ${qualifierOf(former)}` : 'Create function URL'} word={former ? 'Save' : 'Create'} wrong={qualifier === undefined || !/^\d*$/.test(form.MaxAge)} close={close} submit={submit}>
      {!former && (
        <FormField label="Function or alias">
          <Select
            selectedOption={qualifier === undefined ? null : { value: qualifier, label: qualifier }}
            options={free.map((value) => ({ value, label: value }))}
            empty="The function and each alias have one."
            onChange={({ detail }) => setChosen(detail.selectedOption.value)}
          />
        </FormField>
      )}
      <FormField label="Auth type">
        <Select
          selectedOption={{ value: auth, label: AUTH[auth] }}
          options={Object.entries(AUTH).map(([value, label]) => ({ value, label }))}
          onChange={({ detail }) => setAuth(detail.selectedOption.value as UrlInput['AuthType'])}
        />
      </FormField>
      {auth === 'NONE' && (
        <Checkbox checked={open} description="Two statements of the function's policy; without them nobody is answered" onChange={({ detail }) => setOpen(detail.checked)}>Allow everybody to call it</Checkbox>
      )}
      <FormField label="Invoke mode">
        <Select
          selectedOption={{ value: mode, label: MODES[mode] }}
          options={Object.entries(MODES).map(([value, label]) => ({ value, label }))}
          onChange={({ detail }) => setMode(detail.selectedOption.value as UrlInput['InvokeMode'])}
        />
      </FormField>
      <Checkbox checked={cors} description="Answers browsers' questions in the function's stead" onChange={({ detail }) => setCors(detail.checked)}>Configure CORS</Checkbox>
      {cors && (
        <>
          {field('AllowOrigins', 'Allow origins', 'With commas; * for all')}
          {field('AllowMethods', 'Allow methods', 'With commas; * for all')}
          {field('AllowHeaders', 'Allow headers', 'With commas')}
          {field('ExposeHeaders', 'Expose headers', 'With commas')}
          {field('MaxAge', 'Max age (seconds)', 'How long a browser keeps the answer: 0 to 86400')}
          <Checkbox checked={credentials} onChange={({ detail }) => setCredentials(detail.checked)}>Allow credentials</Checkbox>
        </>
      )}
    </Dialog>
  );
}
