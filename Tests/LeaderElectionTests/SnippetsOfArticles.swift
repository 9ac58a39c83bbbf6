import LeaderElection

// The Swift code of the articles, so that it is compiled. `SnippetTests` compares the texts. The functions are not called: most would need servers.

// MARK: What the articles leave out

private struct File: Sendable {}
private struct Report: Sendable {}
private struct Job: Sendable {}
private struct Batch: Sendable {}
private struct NoToken: Error {}
private struct Superseded: Error {}

private struct JobQueue: Sendable { func next() async throws -> Job? { nil } }
private struct Database: Sendable { func update(_ account: Int, balance: Int, token: UInt64) async throws -> Int { 1 } }
private struct Machine: Sendable {
    func start() async throws {}
    func halt() {}
}

private func upload(_ file: File, token: FencingToken?) async throws {}
private func makeReport() async throws -> Report { Report() }
private func process(_ job: Job) async throws {}
private func process(_ batch: Batch) async throws {}
private func saveProgress() async throws {}

// MARK: LeaderElection.md

private func landingPage(files: [File]) async throws {
    let election = try Election("backup", at: "file:///srv/leases")
    try await election.withLeadership { lease in
        for file in files {
            try lease.checkStillHeld()
            try await upload(file, token: lease.token)
        }
    }
}

// MARK: GettingStarted.md

private func leadOnce() async throws -> Report {
    let election = try Election("nightly-report", at: "file:///srv/leases")
    let report = try await election.withLeadership { lease in
        try await makeReport()
    }
    return report
}

private func leadWithoutWaiting() async throws {
    let options = ElectionOptions(wait: .no)
    let election = try Election("nightly-report", at: "file:///srv/leases", options: options)
    do {
        _ = try await election.withLeadership { lease in try await makeReport() }
    } catch let error as ElectionError where error.kind == .heldByAnother {
        print("made by \(error.leader?.identity ?? "another host")")
    }
}

private func nameTheProcess(_ options: inout ElectionOptions, replica: Int) {
    options.identity = "dispatcher-\(replica)"
}

private func askWhoLeads(_ election: Election) async throws {
    print(election.isLeader ? "this process leads" : "this process does not lead")
    if let leader = try await election.leader() {
        print("\(leader.identity ?? "another process") leads with token \(leader.token?.description ?? "none")")
    }
}

private func waitForIt(_ election: Election) async throws {
    let lease = try await election.waitForLeadership()
    print("leads with token \(lease.token?.description ?? "none")")
}

private func followEvents(_ election: Election) async {
    for await event in election.events {
        switch event {
        case .elected(let lease): print("leads with token \(lease.token?.description ?? "none")")
        case .cancelled(let reason, let time): print("has to stop within \(time): \(reason)")
        default: break
        }
    }
}

// MARK: StoppingInTime.md

private func stopInALoop(_ election: Election, queue: JobQueue) async throws {
    try await election.run { lease in
        while let job = try await queue.next() {
            try lease.checkStillHeld()
            try await process(job)
        }
    }
}

private func chooseTimes() -> ElectionOptions {
    var options = ElectionOptions()
    options.ttl = .seconds(60)
    options.stopTime = .seconds(25)
    return options
}

private func handOn(_ election: Election, machine: Machine) async throws {
    try await election.withLeadership { lease in
        try await withTaskCancellationHandler {
            try await machine.start()
        } onCancel: {
            machine.halt()
        }
    }
}

private func cleanUp(_ election: Election, batch: Batch) async throws {
    try await election.withLeadership { lease in
        do {
            try await process(batch)
        } catch is CancellationError {
            if lease.remaining > .seconds(2) { try await saveProgress() }
            throw CancellationError()
        }
    }
}

// MARK: Fencing.md

private func update(_ database: Database, account: Int, balance: Int, token: FencingToken) async throws {
    let changed = try await database.update(account, balance: balance, token: token.value)
    guard changed == 1 else { throw Superseded() }
}

private func needToken(_ lease: Lease) throws -> FencingToken {
    guard let token = lease.token else { throw NoToken() }
    return token
}

// MARK: ChoosingASystem.md

private func unsupported(url: String, work: @escaping @Sendable (Lease) async throws -> Void) async throws {
    do {
        let election = try Election("web", at: url)
        try await election.run(work)
    } catch let error as ElectionError where error.kind == .unsupported {
        print(error, error.hint ?? "")
    }
}

private func logIn() -> ElectionOptions {
    var options = ElectionOptions()
    options.credentials = .credentialsFile("/etc/dispatcher/nats.creds")
    options.tls = ElectionOptions.TLS(authority: "/etc/dispatcher/ca.pem")
    return options
}

// MARK: Comments

private func inMemory() throws -> Election {
    let memory = InMemoryElections()
    let election = try Election("backup", in: memory)
    return election
}
