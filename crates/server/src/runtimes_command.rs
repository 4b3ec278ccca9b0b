//! `lambkin runtimes list|install|remove`.

use lambkin_model::runtime::Runtime;

use crate::arguments;
use crate::output;
use crate::places;

pub(crate) async fn run(command: arguments::Runtimes) -> Result<(), String> {
    match command {
        arguments::Runtimes::List { sources } => {
            let mut text = String::new();
            for listed in places::runtimes(sources)?.list() {
                let state = match &listed.build {
                    None => "no build for this platform".to_owned(),
                    Some(build) => match build.installed {
                        Some(_) => format!("Node.js {}\tinstalled\t{}", build.version, build.path.display()),
                        None => format!("Node.js {}\tnot installed", build.version),
                    },
                };
                text += &format!("{}\t{state}\n", listed.runtime);
            }
            output::say(&text)
        }
        arguments::Runtimes::Install { names, with_sdk, sources } => {
            let runtimes = places::runtimes(sources)?;
            let everything = names.is_empty();
            let names = if everything { Runtime::all().collect() } else { names };
            for runtime in names {
                match runtimes.install(runtime).await {
                    Ok(installed) => {
                        let node = installed.node.display();
                        output::say(&format!("{runtime}\tNode.js {}\t{node}\n", installed.version))?;
                    }
                    // All there are for this platform, not all there are.
                    Err(lambkin_model::runtime::RuntimeError::NoBuild(reason)) if everything => {
                        output::say(&format!("{runtime}\t{reason}\n"))?;
                        continue;
                    }
                    Err(error) => return Err(error.to_string()),
                }
                if with_sdk {
                    runtimes.install_sdk(runtime).await.map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        }
        arguments::Runtimes::Remove { names, sources } => {
            let runtimes = places::runtimes(sources)?;
            for runtime in names {
                let removed = runtimes.remove(runtime).await.map_err(|error| error.to_string())?;
                let done = if removed { "removed" } else { "was not installed" };
                output::say(&format!("{runtime}\t{done}\n"))?;
            }
            Ok(())
        }
    }
}
