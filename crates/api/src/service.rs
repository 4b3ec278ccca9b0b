//! The services that are not Lambda: read in their protocol, allowed, answered.

use lambkin_model::Error;

use crate::api::{Api, Call};
use crate::body::{RequestBody, work};
use crate::reply::Reply;
use crate::wire::{Asked, Fault, Which};

impl Api {
    /// Answers for a service that is not Lambda.
    pub(crate) async fn serve_service(
        &self,
        call: &Call<'_>,
        asked: Asked,
        body: &mut RequestBody,
    ) -> Result<Reply, Error> {
        let limit = asked.service.request_bytes;
        let too_large = |_| Error::RequestTooLarge(format!("Request must be smaller than {limit} bytes"));
        let read = self.budget.read(body, limit, true, too_large).await?;
        let body = match asked.unpack(call.parts, &read.bytes) {
            Ok(body) => body,
            Err(fault) => return Ok(asked.refusal(&fault, call.request_id)),
        };
        let request = match work(body.len(), || asked.read(call.parts, &body)) {
            Ok(request) => request,
            Err(fault) => return Ok(asked.refusal(&fault, call.request_id)),
        };
        let operation = &*request.operation.name;
        // Who is asking may always ask who that is.
        let open = asked.service.which == Which::Sts && operation == "GetCallerIdentity";
        let allowed =
            if open { Ok(()) } else { self.authorize(call, asked.service.name, operation, &request.input) };
        let allowed =
            allowed.and_then(|()| self.authorize_deeds(call, asked.service.name, operation, &request.input));
        if let Err(denied) = allowed {
            return Ok(asked.refusal(&asked.denied(&denied), call.request_id));
        }
        let output = match asked.service.which {
            Which::CloudWatch => {
                let output = self.operate_cloudwatch(call, &request).await;
                output.map_err(|error| Fault::of_metrics(&error))
            }
            Which::Iam => self.operate_iam(call, &request).await.map_err(|error| Fault::of_iam(&error)),
            Which::Logs => self.operate_logs(call, &request).await.map_err(|error| Fault::of_logs(&error)),
            Which::Sns => self.operate_sns(call, &request).await.map_err(|error| Fault::of_sns(&error)),
            Which::Sts => self.operate_sts(call, &request),
            Which::Sqs => {
                let output = self.operate_sqs(call, &request).await;
                output.map_err(|error| Fault::of_sqs(&error, asked.protocol))
            }
        };
        Ok(match output {
            Ok(output) => asked.answer(request.operation, output.as_ref(), call.request_id),
            Err(fault) => {
                let operation = &*request.operation.name;
                tracing::debug!(request_id = %call.request_id, operation, fault.code, fault.message, "refused");
                asked.refusal(&fault, call.request_id)
            }
        })
    }
}
