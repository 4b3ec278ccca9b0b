'use strict';
// Leads the AWS SDK for JavaScript v2 to the services that lambkin serves. Later SDKs read AWS_ENDPOINT_URL_<SERVICE> by
// themselves; v2 never did, and is told when it is loaded, whether the runtime's or the function's own copy. What the
// function's code says about endpoints counts more. A copy inside a bundle is not seen.
//
// Nothing is wrapped: the SDK's core is noticed in the module cache before it runs, so no stack trace has a frame of this.
//
// Syntax: Node 4.3, which has no Proxy and so none of this.

const CORE = /[\\/]aws-sdk[\\/]lib[\\/]core\.js$/;

// By v2's names of the services.
const VARIABLES = {
  cloudwatch: 'AWS_ENDPOINT_URL_CLOUDWATCH',
  cloudwatchlogs: 'AWS_ENDPOINT_URL_CLOUDWATCH_LOGS',
  lambda: 'AWS_ENDPOINT_URL_LAMBDA',
  sns: 'AWS_ENDPOINT_URL_SNS',
  sqs: 'AWS_ENDPOINT_URL_SQS',
};

// A property that calls `seen` with each value that it is given.
function watch(object, name, seen) {
  let current = object[name];
  Object.defineProperty(object, name, {
    get: function () {
      return current;
    },
    set: function (value) {
      current = value;
      seen(value);
    },
    enumerable: true,
    configurable: true,
  });
}

function configure(config) {
  if (!config) {
    return;
  }
  Object.keys(VARIABLES).forEach(function (service) {
    const endpoint = process.env[VARIABLES[service]];
    if (!endpoint || process.env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true') {
      return;
    }
    let own;
    Object.defineProperty(config, service, {
      get: function () {
        return config.endpoint || (own && own.endpoint) ? own : Object.assign({ endpoint: endpoint }, own);
      },
      set: function (value) {
        own = value;
      },
      // Not among what is copied into each client.
      enumerable: false,
      configurable: true,
    });
  });
}

exports.install = function () {
  if (typeof Proxy === 'undefined') {
    return;
  }
  const Module = process.mainModule.constructor; // As in loader.js.
  Module._cache = new Proxy(Module._cache, {
    set: function (cache, name, module) {
      cache[name] = module;
      if (typeof name === 'string' && CORE.test(name)) {
        watch(module, 'exports', function (sdk) {
          // It makes two configurations, and a function may make a third.
          watch(sdk, 'config', configure);
        });
      }
      return true;
    },
  });
};
