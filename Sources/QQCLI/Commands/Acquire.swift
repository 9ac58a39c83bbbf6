import Glibc
import QQCore
import QQLoop

extension Setup {
    /// `acquire NAME`: acquires the lease, prints the grant, and leaves the lease held.
    func acquire() async throws -> Int32 {
        let signals = try stopSignals()
        let plan = try leasePlan(wantsLivenessLock: false)
        switch await campaign(plan.configuration, signals: signals) {
        case .elected(let grant):
            do throws(CoordinationError) {
                try GrantStore().save(grant, server: server)
                try print(grant)
                // The reader of stdout has until the lease expires.
                if let number = try await delivered(signals, until: grant.deadline) {
                    await giveBack(grant)
                    return ExitCode.signal(number)
                }
            } catch {
                // The caller has not learned of the lease, which would block the election. Release it.
                await giveBack(grant)
                throw error
            }
            return ExitCode.yes
        case .ended(let outcome): return try exitCode(of: outcome, stoppedBy: SIGTERM)
        case .signalled(let number): return ExitCode.signal(number)
        }
    }

    /// Releases a lease of which nobody has learned. What cannot be released is told: the election is blocked until the lease expires.
    private func giveBack(_ grant: Grant) async {
        do throws(CoordinationError) { _ = try await coordinator.release(grant) } catch {
            report(.releaseFailed(grant, error), of: name, as: identity)
        }
        GrantStore().forget(grant, server: server)
    }

    private enum Campaign: Sendable {
        case elected(Grant)
        case ended(SessionOutcome)
        case signalled(Int32)
    }

    /// Campaigns until elected, refused or stopped by a signal. After an election the lease is left held.
    private func campaign(_ configuration: LeaseSession.Configuration, signals: any StopSignals) async -> Campaign {
        let driver = driver(configuration)
        let (elections, elected) = AsyncStream.makeStream(of: Grant.self)
        campaignBegins()
        let notices = reportNotices()
        defer {
            notices?.cancel()
            progress?.end()
        }
        return await withTaskGroup(of: Campaign?.self) { group in
            group.addTask {
                let outcome = await driver.run { event, _ in
                    follow(event)
                    report(event, of: name, as: identity)
                    if case .elected(let grant) = event { elected.yield(grant) }
                }
                return Task.isCancelled ? nil : .ended(outcome)
            }
            group.addTask {
                for await grant in elections { return .elected(grant) }
                return nil
            }
            group.addTask {
                guard let number = try? await signals.next() else { return nil }
                // A lease that is granted at the same moment is released before the process ends.
                driver.stop()
                return .signalled(number)
            }
            var (granted, signal, outcome): (Grant?, Int32?, SessionOutcome?) = (nil, nil, nil)
            for await found in group {
                switch found {
                case .elected(let grant):
                    granted = grant
                    // After a signal the lease session releases the lease and ends.
                    if signal == nil { group.cancelAll() }
                case .signalled(let number): signal = number
                case .ended(let found):
                    outcome = found
                    group.cancelAll()
                case nil: break
                }
            }
            if let signal {
                // The lease was granted at the moment of the signal. It is not printed, and nothing else would release it.
                if let granted, outcome == nil { await giveBack(granted) }
                return .signalled(signal)
            }
            return granted.map { .elected($0) } ?? .ended(outcome ?? .stopped)
        }
    }

    /// - Parameter isKept: whether a session renews the lease.
    func print(_ grant: Grant, isKept: Bool = false) throws(CoordinationError) {
        let slot = self.slot(of: grant, as: name)
        switch invocation[Flags.format] ?? (output.form == .json ? .json : .text) {
        case .json:
            try output.print(json: Schemas.acquired(grant, as: name, slot: slot, server: server, now: loop.now()))
        case .shell:
            for (name, value) in variables(grant, as: name, event: .elected) {
                try Output.write("export \(name)=\(Self.quoted(value))")
            }
        case .text where output.form == .terminal:
            try output.print(
                output.color("acquired", .good) + " \(title(name, grant)) for \(DurationText.brief(grant.ttl))"
                    + (grant.token.map { ", token \($0)" } ?? "")
                    + ", as \(Printable.text(grant.identity))")
            if !isKept {
                let words = name + (slots.map { " --slots \($0)" } ?? "")
                messages.note("renew it with 'qq keepalive \(words)', release it with 'qq release \(words)'")
            }
        case .text:
            var record = [name, grant.identity, grant.token?.description, Rendering.seconds(grant.ttl)]
            if let slot { record.append(String(slot.number)) }
            try output.print(record: record)
        }
    }

    /// A text as one word for `eval` in a shell: in single quotes, with each single quote in it escaped.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
