// The settings of a function, section by section. Each is sent with the revision that was read, where AWS's operation takes one.

import SpaceBetween from '@cloudscape-design/components/space-between';

import type { FunctionDocument } from '../client/lambda';
import { AsynchronousSection } from './asynchronous_section';
import { ConcurrencySection } from './concurrency_section';
import { GeneralSection } from './general_section';
import { LoggingSection } from './logging_section';
import { PermissionsSection } from './permissions_section';
import { ProvisionedSection } from './provisioned_section';
import { TagsSection } from './tags_section';
import { TriggersSection } from './triggers_section';
import { UrlsSection } from './urls_section';
import { VariablesSection } from './variables_section';

export interface Section {
  document: FunctionDocument;
  reload: () => Promise<void>;
}

export function ConfigurationTab(section: Section) {
  return (
    <SpaceBetween size="l">
      <GeneralSection {...section} />
      <VariablesSection {...section} />
      <TriggersSection {...section} />
      <UrlsSection {...section} />
      <AsynchronousSection {...section} />
      <ConcurrencySection {...section} />
      <ProvisionedSection {...section} />
      <LoggingSection {...section} />
      <PermissionsSection {...section} />
      <TagsSection {...section} />
    </SpaceBetween>
  );
}
