import QQCore
import QQHTTP
import QQNetwork
import Synchronization

/// Calls to the agents of a URL.
final class ConsulClient: ConsulCalling {
    let endpoints: [String]
    private let agents: [HTTPEndpoint]
    private let token: TokenSource
    private let fields: [HTTPRequest.Field]
    private let datacenter: String?
    private let clock: any LeaseClock
    /// The place of the agent that answered last.
    private let preferred = Mutex(0)

    /// The longest time that one of several agents is waited for.
    private static let patience: Duration = .seconds(2)
    private static let longestText = 1_000

    /// Makes no connection, and starts no thread.
    init(_ access: ConsulAccess, userAgent: String, clock: any LeaseClock) {
        var settings = HTTPSettings()
        settings.tls = access.tls
        settings.plainTextHint = "without TLS, the server's URL begins with consul://"
        settings.tlsHint = "With TLS, the server's URL begins with consuls://"
        agents = access.agents.map { HTTPEndpoint($0, settings, clock: clock) }
        endpoints = access.agents.map(\.endpoint)
        token = TokenSource(access.token)
        datacenter = access.datacenter
        self.clock = clock
        var fields = [HTTPRequest.Field("Accept", "application/json"), .init("User-Agent", userAgent)]
        if let login = access.basicLogin { fields.append(.init("Authorization", "Basic " + Base64.encode(Array(login.text.utf8)))) }
        self.fields = fields
    }

    func prepare() { agents.first?.prepare() }

    func close() async { for agent in agents { agent.close() } }

    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        let first = preferred.withLock { $0 }
        var failure: ConsulFailure?
        for step in 0..<agents.count {
            let place = (first + step) % agents.count
            let isLast = step == agents.count - 1
            let now = clock.now()
            guard now < deadline else { break }
            // A blocking query is silent for as long as nothing changes.
            let limit = isLast || request.isBlocking ? deadline : min(deadline, now + Self.patience)
            do throws(ConsulFailure) {
                let answer = try await call(request, at: place, until: limit)
                preferred.withLock { $0 = place }
                return answer
            } catch {
                // Of several failures, the one that leaves the outcome open counts.
                if failure?.isUncertain != true { failure = error }
                guard error.isOfThisAgent, !Task.isCancelled, !error.isUncertain || request.isRepeatable else { break }
            }
        }
        if first == preferred.withLock({ $0 }), agents.count > 1 { preferred.withLock { $0 = (first + 1) % agents.count } }
        throw failure ?? ConsulFailure(.unavailable, "no time is left to ask", at: endpoints[first])
    }

    func call(_ request: ConsulRequest, at place: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        let used = try token.current()
        do throws(ConsulFailure) { return try await send(request, used, at: place, until: deadline) } catch {
            // A request that was denied was not carried out. The file might have a new token.
            guard error.meaning == .denied, error.status != nil, let next = try token.next(after: used) else { throw error }
            return try await send(request, next, at: place, until: deadline)
        }
    }

    private func send(
        _ request: ConsulRequest, _ token: Secret?, at place: Int, until deadline: BootInstant
    ) async throws(ConsulFailure) -> ConsulAnswer {
        var request = request
        if let datacenter { request.query.append(.init("dc", datacenter)) }
        var fields = self.fields
        if request.body != nil { fields.append(.init("Content-Type", "application/json")) }
        if let token { fields.append(.init("X-Consul-Token", token.text)) }
        let http = HTTPRequest(
            request.method, request.target, fields: fields,
            body: request.body.map { JSONWriter.bytes($0) } ?? (request.method == .put ? [] : nil))
        let found: HTTPAnswer
        do throws(HTTPFailure) {
            if request.isBlocking {
                let stream = try await agents[place].stream(http, until: deadline)
                let body = try await stream.body(until: deadline)
                found = HTTPAnswer(status: stream.status, fields: stream.fields, body: body)
            } else {
                found = try await agents[place].call(http, isRepeatable: request.isRepeatable, until: deadline)
            }
        } catch { throw ConsulFailure(error) }
        let answer = Self.answer(found, from: endpoints[place])
        if let failure = ConsulFailure(answer) { throw failure }
        return answer
    }

    static func answer(_ found: HTTPAnswer, from endpoint: String) -> ConsulAnswer {
        let document = try? JSONValue.parse(found.body)
        var text = ""
        if document == nil {
            let line = UTF8Text.escaping(found.body.prefix(longestText)).split(whereSeparator: \.isNewline).joined(separator: " ")
            text = line.hasPrefix("<") ? "" : Printable.text(line)
        }
        return ConsulAnswer(
            status: found.status, index: found.field("X-Consul-Index").flatMap { UInt64($0) }, body: document ?? .null, text: text,
            endpoint: endpoint)
    }
}
