'use strict';
// globalThis.awslambda.InvokeStore, and where G3's console takes the request id from (spec sections 7.1 and 10.1).
//
// One event at a time, so one current context is enough. It stays after the invocation: what runs in the background
// logs under the last id.

const KEYS = {
  REQUEST_ID: Symbol.for('_AWS_LAMBDA_REQUEST_ID'),
  X_RAY_TRACE_ID: Symbol.for('_AWS_LAMBDA_X_RAY_TRACE_ID'),
  TENANT_ID: Symbol.for('_AWS_LAMBDA_TENANT_ID'),
};
const PROTECTED = Object.values(KEYS);

class InvokeStore {
  constructor() {
    this.currentContext = undefined;
  }

  getContext() {
    return this.currentContext;
  }

  hasContext() {
    return this.currentContext !== undefined;
  }

  get(key) {
    return this.currentContext === undefined ? undefined : this.currentContext[key];
  }

  set(key, value) {
    if (PROTECTED.includes(key)) {
      throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    }
    this.currentContext = this.currentContext || {};
    this.currentContext[key] = value;
  }

  run(context, action) {
    this.currentContext = context;
    return action();
  }

  getRequestId() {
    const id = this.get(KEYS.REQUEST_ID);
    return id === undefined || id === null ? '-' : id;
  }

  getXRayTraceId() {
    return this.get(KEYS.X_RAY_TRACE_ID);
  }

  getTenantId() {
    return this.get(KEYS.TENANT_ID);
  }
}

InvokeStore.PROTECTED_KEYS = KEYS;

exports.KEYS = KEYS;
exports.store = new InvokeStore();

exports.install = function () {
  globalThis.awslambda = Object.assign(globalThis.awslambda || {}, { InvokeStore: exports.store });
};
