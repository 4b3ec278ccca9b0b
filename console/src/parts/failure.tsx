// What stands in the place of a page that failed by itself: the frame around it still works.

import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import { Component, type ReactNode } from 'react';

interface State {
  error?: unknown;
}

export class Failure extends Component<{ children: ReactNode }, State> {
  override state: State = {};

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <Alert type="error" header="This page failed" action={<Button onClick={() => location.reload()}>Load it again</Button>}>
        {String(this.state.error)} What was edited is kept in this browser.
      </Alert>
    );
  }
}
