//! All targets together: an ARN is its service's, unless the operator sends its account, region or service
//! elsewhere. And what a function's configuration may name, in AWS's words.
//!
//! Deliberately not here: the services, and how something is sent elsewhere (`outbound`).

use std::collections::HashMap;
use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::name::FunctionKey;
use lambkin_model::queue::Post;

use crate::asynchronous::function_of;
use crate::target::{Delivery, Target, Undeliverable};

/// The code of what no service is here for.
const UNSUPPORTED: &str = "UnsupportedTarget";

/// Who takes an ARN. Made once, when lambkin starts.
#[derive(Default)]
pub struct Targets {
    services: HashMap<&'static str, Arc<dyn Target>>,
    external: Option<Arc<dyn External>>,
}

/// A target that is elsewhere.
pub trait External: Target {
    /// Whether the operator sends this ARN elsewhere.
    fn has(&self, arn: &str) -> bool;
}

impl Targets {
    /// Without any service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this one, by its name in ARNs: `sqs`.
    #[must_use]
    pub fn with(mut self, service: &'static str, target: Arc<dyn Target>) -> Self {
        self.services.insert(service, target);
        self
    }

    /// With what is elsewhere.
    #[must_use]
    pub fn with_external(mut self, external: Arc<dyn External>) -> Self {
        self.external = Some(external);
        self
    }

    fn of(&self, arn: &str) -> Result<&dyn Target, Undeliverable> {
        if let Some(external) = self.external.as_ref().filter(|external| external.has(arn)) {
            return Ok(&**external);
        }
        let service = service(arn);
        self.services.get(service).map(|target| &**target).ok_or_else(|| Undeliverable {
            target: arn.into(),
            code: UNSUPPORTED.into(),
            message: format!(
                "lambkin has no service '{service}'. Where one is elsewhere, say so with --external."
            ),
        })
    }
}

impl Targets {
    /// Whether the function's events may be recorded at these targets, as DestinationConfig names them.
    pub fn check_destinations(
        &self,
        function: &FunctionKey,
        on_success: Option<&str>,
        on_failure: Option<&str>,
    ) -> Result<(), Error> {
        let shown = |what: &str, arn: Option<&str>| {
            arn.map_or("null".to_owned(), |arn| format!("{what}(destination={arn})"))
        };
        for arn in [on_failure, on_success].into_iter().flatten() {
            let service = service(arn);
            let known = match service {
                "sqs" | "sns" | "lambda" | "events" => true,
                // Only failures go there.
                "s3" => on_success != Some(arn),
                _ => false,
            };
            if !known {
                return Err(Error::InvalidParameterValue(format!(
                    "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
                    shown("OnSuccess", on_success),
                    shown("OnFailure", on_failure)
                )));
            }
            if service == "sns" && arn.ends_with(".fifo") {
                return Err(Error::InvalidParameterValue(
                    "FIFO-type Amazon SNS topics aren't supported as a destination.".into(),
                ));
            }
            if function_of(arn).is_some_and(|target| target.key == *function) {
                return Err(Error::InvalidParameterValue(
                    "You can't specify the function as a destination for itself.".into(),
                ));
            }
            let found = if service == "sqs" && arn.ends_with(".fifo") { None } else { Some(self.check(arn)) };
            match found {
                Some(Ok(())) => {}
                // AWS has the service; here somebody has to say where it is.
                Some(Err(error)) if error.code == UNSUPPORTED => {
                    return Err(Error::InvalidParameterValue(error.message));
                }
                Some(Err(_)) | None => {
                    return Err(Error::InvalidParameterValue(format!(
                        "The destination ARN {arn} is invalid."
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether the function's events may go there that could not be processed: DeadLetterConfig's target.
    pub fn check_dead_letter(&self, function: &FunctionKey, arn: &str) -> Result<(), Error> {
        let invalid =
            |why: &str| Error::InvalidParameterValue(format!("Invalid dead letter queue ARN: {why}"));
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let (kind, operation) = match service(arn) {
            "sqs" => ("SQS queue", "SendMessage"),
            "sns" => ("SNS topic", "Publish"),
            _ => {
                return Err(invalid(
                    "The service specified by the TargetArn is not supported for dead letter configuration.",
                ));
            }
        };
        if parts.get(3).is_none_or(|region| *region != &*function.region) {
            return Err(invalid(
                "The resource specified by the TargetArn must be in the same region as the Lambda function it's associated with.",
            ));
        }
        if arn.ends_with(".fifo") {
            return Err(invalid(&format!("FIFO {kind} is not supported for dead letter configuration")));
        }
        self.check(arn).map_err(|error| {
            let service = &kind[..3];
            Error::InvalidParameterValue(format!(
                "Error occurred while {operation}. {service} Error Code: {}. {service} Error Message: {}",
                error.code, error.message
            ))
        })
    }
}

fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

impl Target for Targets {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        self.of(arn)?.posts(arn, delivery)
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        self.of(arn)?.check(arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known(&'static [&'static str]);

    impl Target for Known {
        fn posts(&self, arn: &str, _: &Delivery) -> Result<Vec<Post>, Undeliverable> {
            self.check(arn).map(|()| Vec::new())
        }

        fn check(&self, arn: &str) -> Result<(), Undeliverable> {
            if self.0.contains(&arn) {
                return Ok(());
            }
            let (code, message) = (
                "AWS.SimpleQueueService.NonExistentQueue".into(),
                "The specified queue does not exist.".into(),
            );
            Err(Undeliverable { target: arn.into(), code, message })
        }
    }

    fn targets() -> Targets {
        const Q: &str = "arn:aws:sqs:us-east-1:000000000000:q";
        const G: &str = "arn:aws:lambda:us-east-1:000000000000:function:g";
        Targets::new().with("sqs", Arc::new(Known(&[Q]))).with("lambda", Arc::new(Known(&[G])))
    }

    fn function() -> FunctionKey {
        FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: "f".into() }
    }

    #[test]
    fn destinations() {
        let invalid = |arn: &str| format!("The destination ARN {arn} is invalid.");
        let config = |success: &str, failure: &str| {
            format!(
                "The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
            )
        };
        for (success, failure, expected) in [
            (Some("arn:aws:sqs:us-east-1:000000000000:q"), None, None),
            (None, Some("arn:aws:sqs:us-east-1:000000000000:q"), None),
            (Some("arn:aws:lambda:us-east-1:000000000000:function:g"), None, None),
            (
                Some("arn:aws:lambda:us-east-1:000000000000:function:f:live"),
                None,
                Some("You can't specify the function as a destination for itself.".to_owned()),
            ),
            (
                Some("arn:aws:lambda:us-east-1:000000000000:function:h"),
                None,
                Some(invalid("arn:aws:lambda:us-east-1:000000000000:function:h")),
            ),
            (
                None,
                Some("arn:aws:sqs:us-east-1:000000000000:no"),
                Some(invalid("arn:aws:sqs:us-east-1:000000000000:no")),
            ),
            (
                None,
                Some("arn:aws:sqs:us-east-1:000000000000:q.fifo"),
                Some(invalid("arn:aws:sqs:us-east-1:000000000000:q.fifo")),
            ),
            (
                None,
                Some("arn:aws:sns:us-east-1:000000000000:t.fifo"),
                Some("FIFO-type Amazon SNS topics aren't supported as a destination.".into()),
            ),
            (
                None,
                Some("arn:aws:dynamodb:us-east-1:000000000000:table/t"),
                Some(config(
                    "null",
                    "OnFailure(destination=arn:aws:dynamodb:us-east-1:000000000000:table/t)",
                )),
            ),
            (Some("arn:aws:s3:::b"), None, Some(config("OnSuccess(destination=arn:aws:s3:::b)", "null"))),
            (
                Some("arn:aws:events:us-east-1:000000000000:event-bus/default"),
                None,
                Some(
                    "lambkin has no service 'events'. Where one is elsewhere, say so with --external.".into(),
                ),
            ),
        ] {
            let said = targets().check_destinations(&function(), success, failure);
            assert_eq!(said.err().map(|error| error.to_string()), expected);
        }
    }

    #[test]
    fn dead_letters() {
        let begin = "Invalid dead letter queue ARN: ";
        for (arn, expected) in [
            ("arn:aws:sqs:us-east-1:000000000000:q", None),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:g",
                Some(format!("{begin}The service specified by the TargetArn is not supported for dead letter configuration.")),
            ),
            (
                "arn:aws:sqs:eu-west-1:000000000000:q",
                Some(format!("{begin}The resource specified by the TargetArn must be in the same region as the Lambda function it's associated with.")),
            ),
            (
                "arn:aws:sqs:us-east-1:000000000000:q.fifo",
                Some(format!("{begin}FIFO SQS queue is not supported for dead letter configuration")),
            ),
            (
                "arn:aws:sqs:us-east-1:000000000000:no",
                Some("Error occurred while SendMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.".into()),
            ),
        ] {
            let said = targets().check_dead_letter(&function(), arn);
            assert_eq!(said.err().map(|error| error.to_string()), expected, "{arn}");
        }
    }
}
