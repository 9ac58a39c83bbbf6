import Glibc

/// Measures the time from the release of a qq to the start of a waiter's command: of a waiter that watches, and of one that may only read.
func measureHandover() {
    let server = serve()
    defer { server.end() }
    let watching = (0..<max(10, rounds / 4)).map { round in
        handover(server, "watched-\(round)") { waitUntil("the waiter watches") { server.number("watches") > watchesOfHolder } }
    }
    server.tool.tell("allow get create update")
    let polling = (0..<max(3, rounds / 20)).map { round in
        let name = "polled-\(round)"
        return handover(server, name) {
            // The holder reads the lease once, and the waiter reads it when it starts and after each pause.
            waitUntil("the waiter polls") { server.number("count get \(name)") >= 4 }
            // Release at any moment of the pause.
            usleep(UInt32.random(in: 0..<2_000_000))
        }
    }
    print("\nHand-over, from the releasing write of a qq to the start of the waiter's command:\n")
    show([Figure("The waiter watches", watching, aim: 10_000_000), Figure("The waiter polls, as its role may not watch", polling)])
}

/// Waits for a condition, then ends the holder, which releases the lease. Returns the time from there to the start of the waiter's command.
private func handover(_ server: Server, _ election: String, _ waits: () -> Void) -> UInt64 {
    let holder = hold(server, election, ttl: "15s")
    let waiter = Waiter(server, election, ttl: "15s")
    waits()
    // Time for the requests that follow the beginning of the watch, until the waiter is quiet.
    usleep(50_000)
    holder.kill(SIGTERM)
    let started = waiter.started()
    holder.wait()
    // The first release is the holder's, the second one the waiter's.
    let released = server.firstRelease(election)
    guard released > 0, started > released else { stop("\(election) was not released before the waiter's command started") }
    return started - released
}

/// Measures the time from the end of the lease (last renewal plus TTL) of a qq that was killed to the start of the waiter's command.
func measureFailover() {
    let server = serve()
    defer { server.end() }
    // A renewal of a shorter lease can ask for a second more than the TTL, so that contenders see a difference.
    let ttl: UInt64 = 4_000_000_000
    let times = (0..<max(3, rounds / 20)).map { round in
        let election = "crash-\(round)"
        let holder = hold(server, election, ttl: "4s")
        let waiter = Waiter(server, election, ttl: "4s")
        waitUntil("the waiter watches") { server.number("watches") > watchesOfHolder }
        // The waiter counts from the renewals that it sees.
        let watched = now()
        waitUntil("the lease is renewed") { server.lastWrite(election) > watched }
        usleep(UInt32.random(in: 20_000..<900_000))
        for pid in family(of: holder.pid) { kill(pid, SIGKILL) }
        holder.wait()
        let renewed = server.lastWrite(election)
        let started = waiter.started()
        guard started > renewed + ttl else { stop("the waiter's command started before the lease had ended") }
        return started - renewed - ttl
    }
    print("\nCrash failover, all processes of a qq killed, the waiter watches:\n")
    show([Figure("From the last renewal and the TTL of 4 s to the command", times, aim: 50_000_000)])
}

/// A holder has a watch of its own, to learn of a request to step down.
private let watchesOfHolder = 1

private func hold(_ server: Server, _ election: String, ttl: String) -> Child {
    waitUntil("the watches of the round before have ended") { server.number("watches") == 0 }
    let holder = dependent(server.command(["acquire", election, "--id", "holder", "--ttl", ttl, "--", "/bin/sleep", "600"]))
    waitForSleep(of: holder)
    return holder
}

/// A waiter whose command writes down when it was started.
private struct Waiter {
    private let child: Child
    private let file = folder + "/stamp"

    init(_ server: Server, _ election: String, ttl: String) {
        unlink(file)
        child = dependent(server.command(["acquire", election, "--id", "waiter", "--ttl", ttl, "--wait", "--", stamp, file]))
    }

    /// Waits for the end of the waiter. Returns when its command was started.
    func started() -> UInt64 { stampedStart(of: child, file) }
}
