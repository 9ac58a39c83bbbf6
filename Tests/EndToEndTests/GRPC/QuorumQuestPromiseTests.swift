import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("Never two on Quorum Quest", .serialized)
struct QuorumQuestPromiseTests {
    /// A holder over `url` that runs every kind of process and has renewed its lease, and a waiter.
    private func pair(_ quest: QuestPlace, at url: String? = nil, ignoresTerm: Bool = true) async throws -> (
        holder: Started, next: Started
    ) {
        let work = quest.stamping("--child", "--daemon") + (ignoresTerm ? ["--ignore-term"] : [])
        let holder = try quest.qq(["acquire", "x", "--id", "held", "--ttl", "5s"] + work, at: url)
        _ = try await quest.box.waitForTerms(1)
        let next = try quest.qq(["acquire", "x", "--id", "next", "--wait"] + quest.stamping("--for", "50"))
        try await quest.waitForCall("TryAcquireLock", by: "next", after: 0, next)
        try await quest.waitForCall("KeepAlive", by: "held", after: 0, holder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...700)))
        return (holder, next)
    }

    /// Waits until the waiter's command runs.
    /// - Returns: when the previous lease ended, as the server counts it.
    private func takeover(_ quest: QuestPlace) async throws -> UInt64 {
        var end: UInt64 = 0
        try await waitUntil("the next holder's command runs") {
            if let found = quest.end(of: "x", by: "held") { end = max(end, found) }
            return quest.box.stamps().terms.count == 2
        }
        return end
    }

    private func check(_ quest: QuestPlace, endedBefore end: UInt64) {
        let stamps = quest.box.stamps()
        #expect(stamps.violations == [])
        guard stamps.terms.count == 2 else { return }
        #expect(stamps.terms[0].last < end, "\((Int(stamps.terms[0].last) - Int(end)) / 1_000_000) ms too late")
        #expect(stamps.terms[1].first + 5_000_000 > end)
        // A waiter asks at least every two seconds.
        #expect(stamps.terms[1].first < end + 8_000_000_000 + busyTime(since: end))
        #expect(stamps.count("daemon") > 0 && stamps.count("child") > 0)
    }

    @Test("a holder that is cut off has ended all its processes before its lease ends by the server's clock", arguments: CutOff.allCases)
    func cutOff(_ cutOff: CutOff) async throws {
        try await onQuorumQuest(.heavy) { quest in
            let proxy = try quest.proxy()
            let (holder, next) = try await pair(quest, at: proxy.questURL)
            cutOff.apply(to: proxy)
            check(quest, endedBefore: try await takeover(quest))
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(try await next.finish().ending == .exited(0))
        }
    }

    @Test("a killed holder leaves no process behind, and its lease to expire") func killed() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let (holder, next) = try await pair(quest)
            let killed = bootNow()
            holder.child.signal(SIGKILL)
            check(quest, endedBefore: try await takeover(quest))
            let terms = quest.box.stamps().terms
            #expect(terms[0].last < killed + 3_000_000_000 + busyTime(since: killed), "the guardian ends the processes immediately")
            #expect(try await next.finish().ending == .exited(0))
        }
    }

    @Test("a stopped holder has no processes when its lease ends, and reports the loss when it continues") func stopped() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let (holder, next) = try await pair(quest)
            kill(holder.pid, SIGSTOP)
            try await waitUntil("qq is stopped") { LivingProcess(holder.pid)?.isStopped == true }
            check(quest, endedBefore: try await takeover(quest))
            #expect(try await next.finish().ending == .exited(0))
            kill(holder.pid, SIGCONT)
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(quest.box.stamps().violations == [])
        }
    }

    @Test("a holder whose guardian is killed ends its processes and releases the lease") func guardianKilled() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let (holder, next) = try await pair(quest)
            kill(try await quest.box.guardian(of: holder).pid, SIGKILL)
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("the guardian was killed"), "\(run.errors)")
            #expect(try await next.finish().ending == .exited(0))
            #expect(quest.box.stamps().violations == [] && quest.box.stamps().terms.count == 2)
        }
    }

    @Test("a holder that gets SIGTERM releases the lease only after its processes are dead") func terminated() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let (holder, next) = try await pair(quest, ignoresTerm: false)
            holder.child.signal(SIGTERM)
            #expect(try await next.finish().ending == .exited(0))
            _ = try await holder.finish()
            #expect(quest.box.stamps().violations == [] && quest.box.stamps().terms.count == 2)
        }
    }

    @Test("contenders that are killed and stopped at random, over connections that are cut, take turns") func storm() async throws {
        try await onQuorumQuest(.heavy) { quest in
            let proxy = try quest.proxy()
            let work = #"QQ_TOKEN=$(date +%s%N) exec "$0" "$1" --for 120 --child --daemon --ignore-term"#
            let shells = try (0..<5).map { _ in
                try quest.box.start(
                    [
                        "sh", "-c",
                        """
                        while ! [ -e stop ]; do
                            "$0" acquire x --wait --ttl 2s --retries 100 -- sh -c "$3" "$1" "$2"
                            echo $? >>codes
                        done
                        """, Sandbox.binary, Sandbox.stamp, quest.box.path("stamps"), work,
                    ], environment: ["QQ_SERVER": proxy.questURL])
            }
            let end = ContinuousClock.now + .seconds(12)
            var kills = 0
            // Longer on a busy machine, until there is something to judge.
            while ContinuousClock.now < end
                || (kills == 0 || quest.box.stamps().terms.count < 4) && ContinuousClock.now < end + waitingTime
            {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...800)))
                guard let victim = quest.box.contending.randomElement() else { continue }
                switch Int.random(in: 0..<3) {
                case 0:
                    kill(victim.pid, SIGKILL)
                    kills += 1
                case 1:
                    kill(victim.pid, SIGSTOP)
                    Task {
                        try await Task.sleep(for: .milliseconds(Int.random(in: 50...3000)))
                        kill(victim.pid, SIGCONT)
                    }
                default: proxy.cut()
                }
            }
            try quest.box.write("", to: "stop")
            for shell in shells { _ = try await shell.finish(within: .seconds(120)) }
            let stamps = quest.box.stamps()
            #expect(stamps.violations == [])
            #expect(kills > 0 && stamps.terms.count > 3, "\(kills) kills, \(stamps.terms.count) terms")
            #expect(Set(quest.box.codes.keys).isSubset(of: [0, 79, 128 + SIGKILL]), "\(quest.box.codes)")
        }
    }
}
