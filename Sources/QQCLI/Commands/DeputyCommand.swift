import QQCore
import QQGuard
import QQLoop

/// `qq __give-up WORDS…`, as which the guardian of a killed `qq` starts: releases the term of that run. The words are those of that run, so that the server is
/// found and asked in the same way. Says nothing: nobody would read it.
enum DeputyCommand {
    static let word = "__give-up"

    /// Contains the grant and the earliest moment to release it.
    private static let variableName = "QQ_DEPUTY"

    /// A longer outage is outlasted by the end of the lease.
    private static let retries = RetryPolicy(maximumRetries: 6, initial: .milliseconds(20), maximum: .seconds(1))

    /// The deputy of a guarded run; nil for a lease that only its end should free.
    /// - Parameters:
    ///   - words: the number of words of this process before those of the command.
    ///   - notBefore: until then the lease is kept (`--min-hold`).
    static func deputy(for grant: Grant, at server: ServerURL, words: Int, notBefore: BootInstant) -> Deputy? {
        // A release that goes by the identity alone could end the lease of another process that was given the same one.
        guard grant.token != nil || grant.termID != nil || Identity.isOurAlone(grant.identity) else { return nil }
        let task: JSONValue = ["grant": GrantStore.json(grant, server: server), "not_before": .number(notBefore.nanoseconds)]
        let own = Hidden.arguments
        return Deputy(
            arguments: [own[0], Array(word.utf8CString)] + own.dropFirst().prefix(words) + [Array("true".utf8CString)],
            environment: Hidden.environment(and: [variableName + "=" + String(decoding: JSONWriter.bytes(task), as: UTF8.self)]))
    }

    /// Releases the lease, or ends with it.
    static func run(_ words: [String]) throws -> Int32 {
        Deputy.takeName()
        guard case .run(let invocation) = try Parser.parse(words), let text = filledVariable(Self.variableName),
            let task = (try? JSONValue.parse(Array(text.utf8)[...]))?.objectValue, let saved = task["grant"],
            let grant = GrantStore.parse(JSONWriter.bytes(saved)[...]), let start = task["not_before"]?.uint64Value,
            let end = filledVariable(Deputy.end).flatMap({ UInt64($0) })
        else { throw UsageError("\(word) is for the guardian of a qq that was killed") }
        return try onLoop { loop in
            // The metrics are those of the killed process. A file for them that cannot be used must not keep its lease from being released.
            let setup = try Setup(invocation.leavingOut(Flags.metricsFile.erased, Flags.listen.erased), loop: loop, mayDraw: false)
            let notBefore = BootInstant(nanoseconds: start)
            let over = BootInstant(nanoseconds: end)
            // Files that name the server may have changed since: at another server, the same token and identity can be those of a leader that lives.
            guard saved.objectValue?["server"]?.stringValue == setup.server.description else { return ExitCode.no }
            guard notBefore < over else { return ExitCode.no }
            try setup.prepare()
            try await loop.sleep(until: notBefore)
            let answer = try await retries.retrying(on: loop, report: { _, _ in }) { () throws(CoordinationError) in
                guard loop.now() < over else {
                    throw CoordinationError(
                        .timedOut, "cannot release \(grant.name)", because: "the lease has ended", at: setup.server.description)
                }
                return try await setup.coordinator.release(grant.extended(to: over))
            }
            if case .released = answer { return ExitCode.yes } else { return ExitCode.no }
        }
    }
}
