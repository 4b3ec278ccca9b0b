// Creating a function, from scratch or from a blueprint.

import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Form from '@cloudscape-design/components/form';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Tiles from '@cloudscape-design/components/tiles';
import { useState } from 'react';

import { BLUEPRINTS, codeFor, RUNTIMES, SCRATCH } from '../blueprints';
import { createFunction, LATEST, settled } from '../client/lambda';
import { machine } from '../client/own';
import { said } from '../client/request';
import { createUrl, setPublic } from '../client/urls';
import { useNotices } from '../notices';
import { base64, newFile, pack } from '../package/archive';
import { Editor } from '../parts/editor';
import { follow, go, to } from '../router';

const NAME = /^[a-zA-Z0-9-_]{1,64}$/;
const ROLE_NAME = 'lambda-role';

export default function CreateFunction({ blueprint }: { blueprint: string | null }) {
  const [kind, setKind] = useState(blueprint ?? 'hello-world');
  const [name, setName] = useState('');
  const [runtime, setRuntime] = useState('nodejs22.x');
  const [role, setRole] = useState('');
  const [withUrl, setWithUrl] = useState(true);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>();
  const notices = useNotices();
  const code = codeFor(kind, runtime);
  const chosen = BLUEPRINTS.find((each) => each.id === kind);
  const mode = chosen?.url;
  const wrong = NAME.test(name) ? undefined : 'The name has 1 to 64 letters, digits, hyphens and underscores.';

  /** The function is there by now: what goes wrong here is made good on its Configuration tab. */
  const addUrl = async (InvokeMode: NonNullable<typeof mode>) => {
    try {
      const { FunctionUrl: url } = await createUrl(name, LATEST, { AuthType: 'NONE', InvokeMode, Cors: {} });
      await setPublic(name, LATEST, true);
      notices.done(`It answers at ${url}.`);
    } catch (problem) {
      notices.failed(`${name} has no function URL that everybody may call`, problem);
    }
  };
  const create = async () => {
    setTried(true);
    if (wrong !== undefined || code === undefined) return;
    setBusy(true);
    setError(undefined);
    try {
      const account = (await machine()).account;
      await createFunction({
        FunctionName: name,
        Runtime: runtime,
        Handler: 'index.handler',
        Role: role.trim() || `arn:aws:iam::${account}:role/${ROLE_NAME}`,
        Code: { ZipFile: base64(pack(new Map([[code.name, newFile(code.text)]]))) },
        ...(kind !== SCRATCH && { Description: chosen?.description ?? '' }),
      });
      await settled(name);
      notices.done(`Created the function ${name}.`);
      if (mode !== undefined && withUrl) await addUrl(mode);
      go(to('functions', name));
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };

  return (
    <ContentLayout header={<Header variant="h1" description="Code, a name and a runtime are all it needs.">Create function</Header>}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" formAction="none" href="#/functions" onFollow={follow}>Cancel</Button>
              <Button variant="primary" loading={busy}>Create function</Button>
            </SpaceBetween>
          }
          errorText={error === undefined ? undefined : said(error)}
        >
          <SpaceBetween size="l">
            <Container header={<Header variant="h2">Begin with</Header>}>
              <Tiles
                ariaLabel="Begin with"
                columns={3}
                value={kind}
                onChange={({ detail }) => setKind(detail.value)}
                items={[
                  ...BLUEPRINTS.map(({ id, title, description }) => ({ value: id, label: title, description, disabled: codeFor(id, runtime) === undefined })),
                  { value: SCRATCH, label: 'Author from scratch', description: 'The smallest handler there is.' },
                ]}
              />
            </Container>
            <Container header={<Header variant="h2">Basic information</Header>}>
              <SpaceBetween size="m">
                <FormField label="Function name" errorText={tried || name.length > 64 ? wrong : undefined}>
                  <Input value={name} autoFocus placeholder="my-function" spellcheck={false} onChange={({ detail }) => setName(detail.value)} />
                </FormField>
                <FormField
                  label="Runtime"
                  errorText={code === undefined ? 'This blueprint needs a later runtime.' : undefined}
                >
                  <Select
                    selectedOption={{ value: runtime, label: runtime }}
                    options={RUNTIMES.map((value) => ({ value, label: value }))}
                    onChange={({ detail }) => setRuntime(detail.selectedOption.value ?? runtime)}
                  />
                </FormField>
                <FormField label={<span>Execution role <i>– optional</i></span>} description="An ARN. Functions see the credentials of their role; see --role-credentials.">
                  <Input value={role} placeholder={`arn:aws:iam::…:role/${ROLE_NAME}`} spellcheck={false} onChange={({ detail }) => setRole(detail.value)} />
                </FormField>
                {mode !== undefined && (
                  <Checkbox checked={withUrl} description="Without authentication; its Configuration tab has it, and who may call it" onChange={({ detail }) => setWithUrl(detail.checked)}>Create a function URL</Checkbox>
                )}
              </SpaceBetween>
            </Container>
            {code && (
              <Container header={<Header variant="h2" description="It can be changed as soon as the function is there.">{code.name}</Header>}>
                <div className="blueprint-code">
                  <Editor document={`${kind} ${runtime}`} text={code.text} language="javascript" label={`Code of ${chosen?.title ?? 'the function'} for ${runtime}`} readOnly />
                </div>
              </Container>
            )}
          </SpaceBetween>
        </Form>
      </form>
    </ContentLayout>
  );
}
