//! `lambkin runtimes list|install|remove`.

use lambkin_model::runtime::Runtime;

use crate::arguments;
use crate::places;

pub(crate) async fn run(command: arguments::Runtimes) -> Result<(), String> {
    match command {
        arguments::Runtimes::List { sources } => {
            for listed in places::runtimes(sources)?.list() {
                let state = match &listed.build {
                    None => "no build for this platform".to_owned(),
                    Some(build) => match build.installed {
                        Some(_) => format!("Node.js {}\tinstalled\t{}", build.version, build.path.display()),
                        None => format!("Node.js {}\tnot installed", build.version),
                    },
                };
                println!("{}\t{state}", listed.runtime);
            }
        }
        arguments::Runtimes::Install { names, with_sdk, sources } => {
            let runtimes = places::runtimes(sources)?;
            let everything = names.is_empty();
            let names = if everything { Runtime::all().collect() } else { names };
            for runtime in names {
                match runtimes.install(runtime).await {
                    Ok(installed) => {
                        println!("{runtime}\tNode.js {}\t{}", installed.version, installed.node.display())
                    }
                    // All there are for this platform, not all there are.
                    Err(lambkin_model::runtime::RuntimeError::NoBuild(reason)) if everything => {
                        println!("{runtime}\t{reason}");
                        continue;
                    }
                    Err(error) => return Err(error.to_string()),
                }
                if with_sdk {
                    runtimes.install_sdk(runtime).await.map_err(|error| error.to_string())?;
                }
            }
        }
        arguments::Runtimes::Remove { names, sources } => {
            let runtimes = places::runtimes(sources)?;
            for runtime in names {
                let removed = runtimes.remove(runtime).await.map_err(|error| error.to_string())?;
                println!("{runtime}\t{}", if removed { "removed" } else { "was not installed" });
            }
        }
    }
    Ok(())
}
