//! Errors of the sandbox: the message and the hint for each way in which a component is stopped. Pure.

use wasmtime::PoolConcurrencyLimitError;

use crate::egress::policy::Denial;
use crate::error::{Error, Kind, Origin};
use crate::limits::{FIELDS_BYTES_MAX, HANDLE_BYTES_MAX, HANDLES_MAX, Limits};
use crate::store_data::budget;
use crate::store_data::handles::EXHAUSTED;
use crate::units::{format_bytes, format_duration};

/// A request that the egress policy refused, with the line that would allow it.
pub(super) fn refused(denial: &Denial) -> Error {
    let error = Error::sandbox(Kind::Permission, format!("egress: {denial}"));
    match denial.remedy() {
        Some(line) => error.hint(format!("to allow it, add under [egress] in the connection file: {line}")),
        None => error,
    }
}

/// A call that took too long.
pub(super) fn timed_out(call: &str, limits: &Limits) -> Error {
    let limit = format_duration(limits.sandbox.call_timeout);
    Error::sandbox(Kind::Unavailable, format!("{call}: no answer within {limit}; stopped"))
        .hint("raise call_timeout under [sandbox] if the source is slow")
}

/// A call that computed too long.
pub(super) fn used_up(call: &str, limits: &Limits) -> Error {
    let limit = format_duration(limits.sandbox.cpu_time);
    Error::sandbox(Kind::Internal, format!("{call}: used more than {limit} of CPU; stopped"))
        .hint("a defect of the component, or raise cpu_time under [sandbox]")
}

/// wasmtime's message when an export has another type than the contract's; it checks at instantiation.
const CONTRACT_MISMATCH: &str = "failed to convert function to given type";

/// A trap or a limit that stopped an instance.
pub(super) fn stopped(call: &str, trap: &wasmtime::Error, limits: &Limits) -> Error {
    tracing::debug!(call, trap = %format!("{trap:#}"), "instance stopped");
    if trap.is::<PoolConcurrencyLimitError>() {
        return no_room(call, trap);
    }
    let root = trap.root_cause().to_string();
    if root.contains(budget::EXHAUSTED) {
        let message = format!("{call}: the memory for all components is used up; stopped");
        return Error::new(Origin::Host, Kind::Unavailable, message).hint(
            "others use it, or may need what is left; give the machine more memory, or lower `memory` under \
             [sandbox] of large connections",
        );
    }
    if trap.chain().any(|cause| cause.to_string() == CONTRACT_MISMATCH) {
        let message = format!("the component is built for another version of the contract: {root}");
        return Error::new(Origin::Component, Kind::Unsupported, message)
            .hint("rebuild it, or use the runner that came with it");
    }
    let (message, hint) = if root.contains("growing memory") {
        (
            format!("wanted more than {} of memory; stopped", format_bytes(limits.sandbox.memory as u64)),
            "lower max_bytes or max_rows under [batch], or raise memory under [sandbox]",
        )
    } else if root.contains("fuel allocated for hostcalls") {
        (
            format!(
                "handed over more than {} at once; stopped",
                format_bytes(limits.hostcall_bytes() as u64)
            ),
            "lower max_rows under [batch]; or raise max_bytes there, which also raises this limit",
        )
    } else if root.contains("handle limit exceeded") || root.contains("no free keys") {
        (
            format!("wanted more than {HANDLES_MAX} handles; stopped"),
            "a defect of the component; please report it",
        )
    } else if root.contains(EXHAUSTED) {
        (
            format!("kept more than {} behind its handles; stopped", format_bytes(HANDLE_BYTES_MAX as u64)),
            "a defect of the component; please report it",
        )
    } else if root.contains("total size of fields exceeds limit") {
        let kib = FIELDS_BYTES_MAX >> 10;
        (
            format!("wanted more than {kib} KiB of headers in one message; stopped"),
            "a defect of the component; please report it",
        )
    } else {
        let cause = root.strip_prefix("wasm trap: ").unwrap_or(&root);
        (format!("the component trapped: {cause}"), "a defect of the component; please report it")
    };
    Error::sandbox(Kind::Internal, format!("{call}: {message}")).hint(hint)
}

/// There is no room for another instance: a matter of this process, and of no component or delivery.
fn no_room(call: &str, cause: &wasmtime::Error) -> Error {
    let message = format!("{call}: no room for another instance: {}", cause.root_cause());
    Error::new(Origin::Host, Kind::Unavailable, message).hint("a defect of the runner; please report it")
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};

    use super::{CONTRACT_MISMATCH, stopped};
    use crate::error::{Kind, Origin};
    use crate::exit::Exit;
    use crate::limits::Limits;
    use crate::store_data::budget::EXHAUSTED;

    #[tokio::test]
    async fn a_pool_without_room_is_the_failure_of_the_host_and_of_no_delivery() {
        let mut pool = wasmtime::PoolingAllocationConfig::new();
        pool.total_component_instances(1).total_core_instances(1).total_memories(1).total_stacks(2);
        let mut config = wasmtime::Config::new();
        config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
        let engine = wasmtime::Engine::new(&config).expect("an engine");
        let empty = Component::new(&engine, b"\0asm\x0d\0\x01\0").expect("an empty component");
        let linker = Linker::<()>::new(&engine);
        let mut stores = [Store::new(&engine, ()), Store::new(&engine, ())];
        let [first, second] = &mut stores;
        linker.instantiate_async(&mut *first, &empty).await.expect("there is room for one");
        let full =
            linker.instantiate_async(&mut *second, &empty).await.map(drop).expect_err("the pool is full");
        let error = stopped("receive", &full, &Limits::default());
        assert_eq!((error.origin, error.kind), (Origin::Host, Kind::Unavailable), "{error}");
        drop(stores);
        let mut third = Store::new(&engine, ());
        linker.instantiate_async(&mut third, &empty).await.expect("there is room again");
    }

    #[test]
    fn memory_that_others_use_is_the_failure_of_the_host_and_of_no_delivery() {
        let error = stopped("receive", &wasmtime::format_err!("{EXHAUSTED}"), &Limits::default());
        assert_eq!((error.origin, error.kind), (Origin::Host, Kind::Unavailable), "{error}");
    }

    #[test]
    fn a_component_of_another_contract_is_unsupported_and_a_trap_is_a_sandbox_error() {
        let other = wasmtime::format_err!("expected record of 3 fields, found 2 fields");
        let error = stopped("describe", &other.context(CONTRACT_MISMATCH), &Limits::default());
        assert_eq!(
            error.message,
            "the component is built for another version of the contract: \
             expected record of 3 fields, found 2 fields"
        );
        assert_eq!((error.kind, Exit::from(&error)), (Kind::Unsupported, Exit::Unsupported));

        let trap = stopped("read", &wasmtime::Trap::StackOverflow.into(), &Limits::default());
        assert_eq!(Exit::from(&trap), Exit::Sandbox);
    }
}
