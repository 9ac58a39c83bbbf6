import Glibc
import QQCore
import Support
import Testing

/// Elections in which `qq`s, client-go's electors and Consensus nodes take part, while everything goes wrong.
///
/// What must never happen: the commands of two `qq`s run at the same time, or a command of `qq` runs while a peer leads by right, that is, while the
/// peer's name is in the lease and the lease has not ended (`LeaseHistory`).
///
/// What is not counted, because no candidate can prevent it:
/// - A peer believes that it leads although its lease has ended or is another's: client-go up to deadline and retry after the other's write and after
///   a stop, Consensus for two intervals or as long as a call hangs.
/// - A client-go leader that releases without looking, or a person, clears or deletes the valid lease of `qq`, and a peer takes it immediately: until
///   `qq` hears of it, at the latest until its own lease would have ended, its command still runs.
@Suite("Never two over Kubernetes", .serialized) struct KubernetesPromiseTests {
    @Test("contenders take their terms one at a time, with growing tokens, over a watch and by polling", arguments: ["watch", "ops"])
    func contenders(user: String) async throws {
        try await onCluster { place in
            let all = try place.contenders(5, terms: 4, ttl: "5s", user: user)
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = place.box.stamps()
            #expect(stamps.offences == [])
            #expect(stamps.terms.count == 20)
            #expect(place.box.codes == [0: 20])
            #expect(place.holder() == "")
        }
    }

    @Test(
        "a holder that is cut off has ended its processes before any peer can lead, and the next holder starts after the lease",
        arguments: CutOff.allCases)
    func cutOff(_ cutOff: CutOff) async throws {
        try await onCluster(.heavy) { place in
            let proxy = try place.proxy()
            let holder = try place.qq(place.stamping(id: "q", work: ["--child", "--daemon", "--ignore-term"]), at: proxy.port)
            _ = try await place.box.waitForTerms(1)
            let renewals = place.server.api.count(.update, name: "x")
            try await waitUntil("a renewal") { place.server.api.count(.update, name: "x") > renewals }
            let peer = try place.clientGo("go")
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...700)))
            cutOff.apply(to: proxy)
            try await place.waitForLeader(peer)
            let stamps = place.box.stamps()
            #expect((stamps.all.map(\.at).max() ?? 0) < peer.beliefs[0].from)
            #expect(place.violations(peers: ["go"]) == [])
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
        }
    }

    @Test("a stopped holder has no processes when its lease ends, and reports the loss when it continues") func stopped() async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", work: ["--child", "--daemon", "--ignore-term"]))
            _ = try await place.box.waitForTerms(1)
            let peer = try place.clientGo("go")
            kill(holder.pid, SIGSTOP)
            try await place.waitForLeader(peer)
            #expect((place.box.stamps().all.map(\.at).max() ?? 0) < peer.beliefs[0].from)
            kill(holder.pid, SIGCONT)
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(place.violations(peers: ["go"]) == [] && place.holder() == "go")
        }
    }

    @Test("a holder whose guardian is killed ends its processes and releases the lease") func guardianKilled() async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", work: ["--child", "--daemon", "--ignore-term"]))
            _ = try await place.box.waitForTerms(1)
            let peer = try place.clientGo("go")
            kill(try await place.box.guardian(of: holder).pid, SIGKILL)
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("the guardian was killed"), "\(run.errors)")
            try await place.waitForLeader(peer)
            #expect(place.violations(peers: ["go"]) == [])
        }
    }

    /// Everything at once. A failure prints the seed; the same seed repeats the choices, not the machine's timing.
    @Test("qq, client-go and Consensus take turns while processes, network and server fail", arguments: ["watch", "ops"])
    func storm(user: String) async throws {
        try await onCluster { place in
            let seed = UInt64.random(in: 0 ... .max)
            var generator = SeededGenerator(seed: seed)
            let proxies = try (0..<2).map { _ in try place.proxy() }
            let shells = try place.contenders(
                3, ttl: "2s", user: user, work: "--for 400 --child --daemon --ignore-term", at: proxies[0].port)
            let electors = [try place.clientGo("go-1", at: proxies[1].port, restarts: true), try place.clientGo("go-2", restarts: true)]
            let node = try place.consensus("node", at: proxies[1].port, restarts: true)
            let peers = electors + [node]
            let end = ContinuousClock.now + .seconds(18)
            var done: [String: Int] = [:]
            func isEnough() -> Bool { place.box.stamps().terms.count > 1 && peers.contains { !$0.beliefs.isEmpty } }
            // Longer on a busy machine, until there is something to judge.
            while ContinuousClock.now < end || !isEnough() && ContinuousClock.now < end + waitingTime {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...500, using: &generator)))
                let disaster = Disaster.allCases.randomElement(using: &generator) ?? .killQQ
                done["\(disaster)", default: 0] += 1
                try await disaster.strike(place, proxies, peers, &generator)
            }
            for proxy in proxies { proxy.pass() }
            place.server.api.clearFaults()
            for peer in peers { peer.kill() }
            try place.box.write("", to: "stop")
            for shell in shells { _ = try await shell.finish(within: .seconds(120)) }
            let stamps = place.box.stamps()
            #expect(stamps.offences == [], "seed \(seed), \(done)")
            #expect(place.violations(peers: ["go-1", "go-2", "node"], user: "qq-" + user) == [], "seed \(seed), \(done)")
            #expect(stamps.terms.count > 1, "seed \(seed), \(done), \(place.box.codes)")
            #expect(peers.contains { !$0.beliefs.isEmpty }, "seed \(seed), \(done)")
            #expect(Set(place.box.codes.keys).isSubset(of: [0, 69, 79, 128 + SIGKILL]), "\(place.box.codes)")
        }
    }
}

/// What goes wrong in a storm.
private enum Disaster: CaseIterable {
    case killQQ, stopQQ, killGuardian, killCommand
    case cut, silence, silenceAnswers
    case timeoutApplied, timeoutNotApplied, timeoutLate, reset, noAnswer, tooMany, unavailable
    case restart, silentWatch
    case pausePeer, cutPeer, replacePeer

    func strike(_ place: ClusterPlace, _ proxies: [Proxy], _ peers: [KubernetesPeer], _ generator: inout SeededGenerator) async throws {
        let length = Duration.milliseconds(Int.random(in: 50...2500, using: &generator))
        let api = place.server.api
        let writes: Set<LeaseAPI.Verb> = [.create, .update]
        switch self {
        case .killQQ: if let victim = place.box.contending.randomElement(using: &generator) { kill(victim.pid, SIGKILL) }
        case .stopQQ: if let victim = place.box.contending.randomElement(using: &generator) { stop(victim.pid, for: length) }
        case .killGuardian: if let victim = named("lease-guardian", place, &generator) { kill(victim.pid, SIGKILL) }
        case .killCommand: if let victim = named("stamp", place, &generator) { kill(victim.pid, SIGKILL) }
        case .cut: proxies[0].cut()
        case .silence: disturb(proxies[0], [.toServer, .toClient], for: length)
        case .silenceAnswers: disturb(proxies[0], [.toClient], for: length)
        case .timeoutApplied: api.fail(writes, name: "x", with: .timeout(applied: .yes))
        case .timeoutNotApplied: api.fail(writes, name: "x", with: .timeout())
        case .timeoutLate: api.fail(writes, name: "x", with: .timeout(applied: .later(.milliseconds(300))))
        case .reset: api.fail(writes, name: "x", with: .closed(applied: Bool.random(using: &generator) ? .yes : .no))
        case .noAnswer: api.fail(writes, name: "x", with: .noAnswer(applied: .later(.milliseconds(700))))
        case .tooMany: api.fail([.get, .create, .update], name: "x", times: 3, with: .tooManyRequests())
        case .unavailable: api.fail([.get, .create, .update, .watch], name: "x", times: 3, with: .unavailable())
        case .restart: try await place.restart(killed: Bool.random(using: &generator))
        case .silentWatch: api.fail([.watch], times: 3, with: .silentWatch)
        case .pausePeer:
            let peer = peers.randomElement(using: &generator)
            peer?.pause()
            Task {
                try? await Task.sleep(for: length)
                peer?.resume()
            }
        case .replacePeer: peers.randomElement(using: &generator)?.replace()
        case .cutPeer: disturb(proxies[1], [.toServer, .toClient], for: length)
        }
    }

    private func named(_ name: String, _ place: ClusterPlace, _ generator: inout SeededGenerator) -> LivingProcess? {
        place.box.living.filter { $0.name == name }.randomElement(using: &generator)
    }

    private func stop(_ pid: pid_t, for length: Duration) {
        kill(pid, SIGSTOP)
        Task {
            try? await Task.sleep(for: length)
            kill(pid, SIGCONT)
        }
    }

    private func disturb(_ proxy: Proxy, _ directions: Set<Proxy.Direction>, for length: Duration) {
        proxy.silence(directions)
        Task {
            try? await Task.sleep(for: length)
            proxy.pass()
        }
    }
}
