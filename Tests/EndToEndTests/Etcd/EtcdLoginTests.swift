import Glibc
import Support
import Testing

/// A password that is easy to find wherever it appears.
private let secret = "s3cret-w0rd"

/// An etcd that requires a login, and whose tokens live two seconds. `ann` can read and write below `qq/`, `reader` can read there, `nobody` can do nothing.
private struct GuardedEtcd {
    let box: Sandbox
    let server: EtcdServer
    private let root: Etcdctl

    init(_ box: Sandbox) async throws {
        self.box = box
        server = try await EtcdServer.start(in: box) { $0.flags = ["--auth-token-ttl", "2"] }
        var client = Etcdctl(server, in: box)
        for line in [
            "user add root:\(secret)", "user grant-role root root", "role add qq", "role grant-permission --prefix=true qq readwrite qq/",
            "role add reading", "role grant-permission --prefix=true reading read qq/", "user add ann:\(secret)", "user grant-role ann qq",
            "user add reader:\(secret)", "user grant-role reader reading", "user add nobody:\(secret)", "auth enable",
        ] {
            let outcome = try await client.run(line.split(separator: " ").map(String.init))
            guard outcome.isSuccess else { throw CannotStart("etcdctl \(line): \(outcome.output)") }
        }
        client.user = "root:" + secret
        root = client
    }

    var url: String { server.url + "/qq" }

    /// The environment of a process that logs in.
    func login(_ user: String, _ password: String = secret) -> [String: String] {
        ["QQ_SERVER": url, "QQ_ETCD_USER": user, "QQ_ETCD_PASSWORD": password]
    }

    func qq(_ words: [String], as user: String) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: login(user))
    }

    func work(_ options: [String], _ work: [String] = [], as user: String = "ann") throws -> Started {
        try qq(["acquire", "x", "--verbose"] + options + ["--", Sandbox.stamp, box.path("stamps")] + work, as: user)
    }

    func run(_ words: String..., as user: String) async throws -> Run { try await qq(words, as: user).finish() }

    func administer(_ words: String...) async throws {
        let outcome = try await root.run(words)
        guard outcome.isSuccess else { throw CannotStart("etcdctl \(words): \(outcome.output)") }
    }

    /// The keys of contenders.
    func keys() async throws -> [Substring] {
        try await root.run(["get", "--prefix", "--keys-only", "qq/x/"]).output.split(separator: "\n").filter { $0.hasPrefix("qq/") }
    }
}

@Suite("Logging in to etcd") struct EtcdLoginTests {
    @Test("the login comes from variables, a file or the URL; a wrong one and none are denied with 77, also to those that wait") func ways()
        async throws
    {
        try await inSandbox { box in
            let etcd = try await GuardedEtcd(box)
            try box.write(Array("ann:\(secret)\n".utf8), to: "login", mode: 0o600)
            func enter(_ words: [String], _ environment: [String: String]) async throws -> Run {
                try await box.start([Sandbox.binary, "acquire", "x", "--id", "me"] + words + ["--", "true"], environment: environment)
                    .finish()
            }
            let bare = ["QQ_SERVER": etcd.url]
            let inURL = ["QQ_SERVER": etcd.url.replacing("etcd://", with: "etcd://ann:\(secret)@")]
            for (words, environment) in [([], etcd.login("ann")), (["--login-file", box.path("login")], bare), ([], inURL)] {
                let run = try await enter(words + ["--retries", "0"], environment)
                #expect(run.ending == .exited(0), "\(words): \(run.errors)")
            }
            for words in [["--retries", "0"], ["--wait"]] {
                for environment in [etcd.login("ann", "wr0ng-word"), etcd.login("stranger"), bare] {
                    let run = try await enter(words, environment)
                    #expect(run.ending == .exited(77) && run.output.isEmpty, "\(run.errors)")
                    #expect(!run.errors.contains("wr0ng-word") && !run.errors.contains(secret), "\(run.errors)")
                    #expect(run.errors.contains("login"), "\(run.errors)")
                }
            }
            #expect(try await etcd.keys() == [])
        }
    }

    @Test("what a user's role does not allow is denied with 77 and named, and what it allows is done") func roles() async throws {
        try await inSandbox { box in
            let etcd = try await GuardedEtcd(box)
            for line in [
                "status x", "status --all", "acquire x --retries 0", "acquire x --wait", "keepalive x", "watch x", "step-down x --yes",
            ] {
                let run = try await etcd.qq(line.split(separator: " ").map(String.init), as: "nobody").finish()
                #expect(run.ending == .exited(77), "\(line): \(run.errors)")
                #expect(run.errors.contains("no permission") && run.errors.contains("'qq/'"), "\(line): \(run.errors)")
            }
            #expect(try await etcd.run("status", "x", as: "reader").ending == .exited(1))
            #expect(try await etcd.run("status", "--all", as: "reader").ending == .exited(0))
            for line in ["acquire x --retries 0", "acquire x --wait", "keepalive x"] {
                let run = try await etcd.qq(line.split(separator: " ").map(String.init), as: "reader").finish()
                #expect(run.ending == .exited(77) && run.errors.contains("readwrite permission"), "\(line): \(run.errors)")
            }
            // Any user can ask a 3.4 for its status.
            for user in ["nobody", "reader", "ann"] {
                let cluster = try await etcd.run("cluster-status", as: user)
                #expect(cluster.ending == .exited(0) && cluster.text.contains("leader"), "\(cluster.text) \(cluster.errors)")
            }
            // A role for qq/ is none for everything.
            let outside = etcd.login("ann").merging(["QQ_SERVER": etcd.server.url]) { $1 }
            let run = try await box.start([Sandbox.binary, "acquire", "x", "--retries", "0"], environment: outside).finish()
            #expect(run.ending == .exited(77), "\(run.errors)")
        }
    }

    @Test("tokens that expire while processes hold, wait and watch are renewed, and no change is missed") func expiry() async throws {
        try await inSandbox(.heavy) { box in
            let etcd = try await GuardedEtcd(box)
            // Renews every five seconds: each time, the token is older than it can be.
            let holder = try etcd.work(["--ttl", "15s", "--id", "one"])
            _ = try await box.waitForTerms(1)
            let waiter = try etcd.work(["--ttl", "15s", "--wait", "--id", "two"])
            try await box.waitForWaiter(waiter)
            let watcher = try etcd.qq(["watch", "x", "--json"], as: "reader")
            try await waitUntil("the first line: \(watcher.errors)") { watcher.output.contains("one") }
            try await Task.sleep(for: .seconds(11))
            #expect(holder.child.isRunning && waiter.child.isRunning, "\(holder.errors) \(waiter.errors)")
            holder.child.signal(SIGTERM)
            _ = try await holder.finish()
            _ = try await box.waitForTerms(2)
            try await waitUntil("the watcher saw the next: \(watcher.output) \(watcher.errors)") {
                watcher.output.contains(#""leader":"two""#)
            }
            try await Task.sleep(for: .seconds(3))
            // Its own key is watched with a new token as well: the next renewal is seconds away.
            let key = try #require(try await etcd.keys().first)
            try await etcd.administer("del", String(key))
            #expect(try await waiter.finish().ending == .exited(79), "\(waiter.errors)")
            try await waitUntil("the watcher saw the end: \(watcher.output) \(watcher.errors)") {
                watcher.output.split(separator: "\n").last?.contains(#""leader":null"#) ?? false
            }
            for process in [holder, waiter, watcher] { #expect(!process.errors.contains("login"), "\(process.errors)") }
            try await watcher.terminate()
            #expect(box.stamps().offences == [])
        }
    }

    @Test("a holder whose user may no longer do it ends in time, and says why", arguments: [true, false]) func revoked(byDeletion: Bool)
        async throws
    {
        try await inSandbox(.heavy) { box in
            let etcd = try await GuardedEtcd(box)
            let holder = try etcd.work(["--ttl", "6s"], ["--child", "--ignore-term"])
            _ = try await box.waitForTerms(1)
            if byDeletion {
                try await etcd.administer("user", "delete", "ann")
            } else {
                try await etcd.administer("user", "revoke-role", "ann", "qq")
            }
            let changed = bootNow()
            let run = try await holder.finish(within: .seconds(90))
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(run.errors.contains(byDeletion ? "login" : "no permission") && !run.errors.contains(secret), "\(run.errors)")
            #expect((box.stamps().all.map(\.at).max() ?? .max) < changed + 6_000_000_000)
        }
    }

    @Test("holders with a login keep their leases while authentication is switched off and on") func switched() async throws {
        try await inSandbox(.heavy) { box in
            let etcd = try await GuardedEtcd(box)
            let holder = try etcd.qq(["keepalive", "x", "--ttl", "6s", "--json"], as: "ann")
            func renewals() -> Int { holder.output.components(separatedBy: #""event":"renewed""#).count }
            func waitForRenewals() async throws {
                let before = renewals()
                try await waitUntil("two renewals: \(holder.output) \(holder.errors)") { renewals() >= before + 2 }
            }
            try await waitForRenewals()
            try await etcd.administer("auth", "disable")
            try await waitForRenewals()
            try await etcd.administer("auth", "enable")
            try await waitForRenewals()
            #expect(!holder.output.contains("lost"), "\(holder.output)")
            try await holder.terminate()
            #expect(holder.child.ending == .exited(0), "\(holder.errors)")
        }
    }

    @Test("the guardian of a killed qq logs in to give the lease up") func guardian() async throws {
        try await inSandbox { box in
            let etcd = try await GuardedEtcd(box)
            let holder = try etcd.work(["--ttl", "120s"])
            _ = try await box.waitForTerms(1)
            try await Task.sleep(for: .seconds(3))
            holder.child.signal(SIGKILL)
            let next = try await etcd.work(["--wait"], ["--for", "5"]).finish(within: .seconds(120))
            #expect(next.ending == .exited(0), "\(next.errors)")
            #expect(box.stamps().offences == [] && box.stamps().terms.count == 2)
        }
    }
}

@Suite("Secrets for etcd") struct EtcdSecretTests {
    /// Ways to pass a login, as flags and environment.
    enum Way: CaseIterable {
        case flag, variable, parts, file
    }

    private func use(_ way: Way, _ etcd: GuardedEtcd) -> (flags: [String], environment: [String: String]) {
        let url = etcd.url.replacing("etcd://", with: "etcd://ann:\(secret)@")
        return switch way {
        case .flag: (["-s", url], [:])
        case .variable: ([], ["QQ_SERVER": url])
        case .parts: ([], etcd.login("ann"))
        case .file: (["-s", etcd.url, "--login-file", etcd.box.path("login")], [:])
        }
    }

    @Test("a password appears in no output, in no argument, in no environment and in no saved grant", arguments: Way.allCases)
    func nowhere(way: Way) async throws {
        try await inSandbox(.heavy) { box in
            let etcd = try await GuardedEtcd(box)
            try box.write(Array("ann:\(secret)\n".utf8), to: "login", mode: 0o600)
            let (flags, environment) = use(way, etcd)
            for line in [
                "status x -v", "status --all --json", "acquire a -v", "status a --json", "cluster-status --json", "keepalive a --once",
                "acquire b -v -- env -0", "acquire /x", "acquire c --ttl 0s", "status x --frobnicate",
            ] {
                let words = line.split(separator: " ").map(String.init)
                let run = try await box.start([Sandbox.binary, words[0]] + flags + words.dropFirst(), environment: environment).finish()
                #expect(!run.text.contains(secret) && !run.errors.contains(secret), "\(line)")
            }
            for name in names(in: box.path("run/qq")) { #expect(!box.read("run/qq/" + name).contains(secret)) }
            let hook = "env >>\(box.path("hook")); cat /proc/self/environ >>\(box.path("hook"))"
            let guarded = try box.start(
                [Sandbox.binary, "acquire", "x", "--on-elected", hook] + flags
                    + ["--", "sh", "-c", "env; echo held; exec sleep 600"], environment: environment)
            let keeper = try box.start([Sandbox.binary, "keepalive", "y", "--on-elected", hook] + flags, environment: environment)
            let watcher = try box.start([Sandbox.binary, "watch", "x"] + flags, environment: environment)
            let all = [guarded, keeper, watcher]
            try await waitUntil("all processes run: \(all.map(\.errors))") {
                guarded.output.contains("held") && keeper.output.contains("elected") && watcher.output.contains("x")
            }
            let guardian = try await box.guardian(of: guarded)
            let processes = try await waitFor("all processes") {
                let found = box.living.filter { $0.pid != etcd.server.pid && $0.pid != guardian.pid } + [guardian]
                return found.count >= 5 ? found : nil
            }
            for process in processes {
                for file in ["cmdline", "environ"] {
                    #expect(!readText("/proc/\(process.pid)/\(file)").contains(secret), "\(process) \(file)")
                }
            }
            #expect(!guarded.output.contains(secret) && guarded.output.contains("QQ_SERVER=\(etcd.url)\n"), "\(guarded.output)")
            #expect(box.read("hook").contains("QQ_EVENT=elected") && !box.read("hook").contains(secret))
            for process in all { process.child.signal(SIGTERM) }
            for process in all { _ = try await process.finish() }
        }
    }
}
