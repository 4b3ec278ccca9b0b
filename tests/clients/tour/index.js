// The function of the tour: it says what its code, its configuration and its layer make of it.
const said = require('./said');
let layer = 'no layer';
try { layer = require('word'); } catch { /* none yet */ }

exports.handler = async (event, context) => {
  if (event.fail) throw new RangeError(event.fail);
  for (const record of event.Records || []) console.log('from the queue: ' + record.body);
  if (event.log) console.log(event.log);
  if (event.requestContext) return event.queryStringParameters;
  return {
    said: said + ' ' + event.say,
    version: context.functionVersion,
    word: process.env.WORD,
    layer,
    kind: process.env.AWS_LAMBDA_INITIALIZATION_TYPE,
  };
};
