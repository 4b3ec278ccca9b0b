//! From method, path and query to the operation of the service model and its labels.
//!
//! Deliberately not here: what an operation does; the paths of lambkin's own (`/_lambkin/…`).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::service_model::{Operation, ServiceModel};

/// Labels of the longest path.
const MOST_LABELS: usize = 3;

/// Every route of the model. The hot one stands first: routes are tried in order.
pub(crate) struct Routes(Vec<Route>);

struct Route {
    operation: usize,
    method: http::Method,
    segments: Vec<Segment>,
    /// `find=LayerVersion`: told apart from another operation of the same path by it.
    query: Option<(String, String)>,
}

enum Segment {
    Literal(String),
    Label(String),
}

/// The operation a request is for, with the labels of its path, not yet decoded.
pub(crate) struct Matched<'m, 'p> {
    pub(crate) operation: &'m Operation,
    labels: [Option<(&'m str, &'p str)>; MOST_LABELS],
}

impl<'p> Matched<'_, 'p> {
    /// A label, decoded. `None`: no such label, or not UTF-8.
    pub(crate) fn label(&self, name: &str) -> Option<Cow<'p, str>> {
        let (_, raw) = self.labels.iter().flatten().find(|(label, _)| *label == name)?;
        percent_decode_str(raw).decode_utf8().ok()
    }
}

impl Routes {
    pub(crate) fn new(model: &ServiceModel) -> Self {
        let mut routes: Vec<Route> = model.operations.iter().enumerate().map(Route::new).collect();
        // A fixed query is the narrower route.
        routes.sort_by_key(|route| {
            (model.operations[route.operation].name.as_ref() != "Invoke", route.query.is_none())
        });
        Self(routes)
    }

    pub(crate) fn find<'m, 'p>(
        &'m self,
        model: &'m ServiceModel,
        method: &http::Method,
        path: &'p str,
        query: &str,
    ) -> Option<Matched<'m, 'p>> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        self.0.iter().find_map(|route| {
            if route.method != *method
                || !route.query.as_ref().is_none_or(|(name, value)| has(query, name, value))
            {
                return None;
            }
            let labels = route.labels(path)?;
            Some(Matched { operation: &model.operations[route.operation], labels })
        })
    }
}

impl Route {
    fn new((index, operation): (usize, &Operation)) -> Self {
        let (path, query) = match operation.uri.split_once('?') {
            Some((path, query)) => (path, query.split_once('=')),
            None => (&*operation.uri, None),
        };
        let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(label) => Segment::Label(label.to_owned()),
            None => Segment::Literal(text.to_owned()),
        };
        Self {
            operation: index,
            method: operation.method.parse().expect("generated"),
            segments: path.trim_start_matches('/').split('/').map(segment).collect(),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())),
        }
    }

    fn labels<'p>(&self, path: &'p str) -> Option<[Option<(&str, &'p str)>; MOST_LABELS]> {
        let mut labels = [None; MOST_LABELS];
        let mut next = 0;
        let mut given = path.split('/');
        for segment in &self.segments {
            let given = given.next()?;
            match segment {
                Segment::Literal(text) if text == given => {}
                Segment::Literal(_) => return None,
                Segment::Label(name) => {
                    *labels.get_mut(next)? = Some((name.as_str(), given));
                    next += 1;
                }
            }
        }
        given.next().is_none().then_some(labels)
    }
}

fn has(query: &str, name: &str, value: &str) -> bool {
    query_value(query, name).is_some_and(|given| given == value)
}

/// The first value of this name in a query, decoded.
pub(crate) fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    if query.is_empty() {
        return None;
    }
    query_values(query, name).next()
}

/// All values of this name in a query, decoded.
pub(crate) fn query_values<'q>(query: &'q str, name: &str) -> impl Iterator<Item = Cow<'q, str>> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(key).decode_utf8().ok()? == name)
            .then(|| percent_decode_str(value).decode_utf8_lossy())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::MODEL;

    #[test]
    fn finds_operations() {
        let routes = Routes::new(&MODEL);
        for (method, path, query, expected) in [
            ("POST", "/2015-03-31/functions/f/invocations", "", "Invoke f"),
            (
                "POST",
                "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations",
                "Qualifier=1",
                "Invoke arn:aws:lambda",
            ),
            ("POST", "/2015-03-31/functions", "", "CreateFunction -"),
            ("POST", "/2015-03-31/functions/", "", "CreateFunction -"),
            ("GET", "/2015-03-31/functions", "", "ListFunctions -"),
            ("GET", "/2015-03-31/functions/f", "", "GetFunction f"),
            ("GET", "/2015-03-31/functions/f/configuration", "", "GetFunctionConfiguration f"),
            ("PUT", "/2015-03-31/functions/f/configuration", "", "UpdateFunctionConfiguration f"),
            ("PUT", "/2015-03-31/functions/f/code", "", "UpdateFunctionCode f"),
            ("DELETE", "/2015-03-31/functions/f", "", "DeleteFunction f"),
            ("GET", "/2018-10-31/layers", "", "ListLayers -"),
            ("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=x", "GetLayerVersionByArn -"),
            (
                "GET",
                "/2019-09-30/functions/f/provisioned-concurrency",
                "List=ALL",
                "ListProvisionedConcurrencyConfigs f",
            ),
            (
                "GET",
                "/2019-09-30/functions/f/provisioned-concurrency",
                "Qualifier=1",
                "GetProvisionedConcurrencyConfig f",
            ),
            ("PUT", "/2017-10-31/functions/f/concurrency", "", "PutFunctionConcurrency f"),
            ("GET", "/2019-09-30/functions/f/concurrency", "", "GetFunctionConcurrency f"),
            ("DELETE", "/2017-10-31/functions/f/concurrency", "", "DeleteFunctionConcurrency f"),
            ("GET", "/2016-08-19/account-settings", "", "GetAccountSettings -"),
            ("PATCH", "/2015-03-31/functions", "", "none"),
            ("GET", "/2015-03-31/functions/f/nothing", "", "none"),
            ("GET", "/", "", "none"),
            ("GET", "/2014-01-01/functions", "", "none"),
        ] {
            let found =
                routes.find(&MODEL, &method.parse().unwrap(), path, query).map_or("none".into(), |matched| {
                    format!(
                        "{} {}",
                        matched.operation.name,
                        matched.label("FunctionName").as_deref().unwrap_or("-")
                    )
                });
            assert_eq!(found, expected, "{method} {path}?{query}");
        }
    }

    #[test]
    fn every_operation_has_its_own_route() {
        let routes = Routes::new(&MODEL);
        for operation in &MODEL.operations {
            let (path, query) = operation.uri.split_once('?').unwrap_or((&operation.uri, ""));
            let path = path.replace(['{', '}'], "");
            let matched = routes.find(&MODEL, &operation.method.parse().unwrap(), &path, query).unwrap();
            assert_eq!(matched.operation.name, operation.name);
        }
    }

    #[test]
    fn reads_queries() {
        assert_eq!(query_value("a=1&Qualifier=%24LATEST", "Qualifier").as_deref(), Some("$LATEST"));
        assert_eq!(query_value("Qualifier", "Qualifier").as_deref(), Some(""));
        assert_eq!(query_value("", "Qualifier"), None);
    }
}
