import QQCore
import QQHTTP
import QQNetwork

/// Calls to the agents of a URL.
final class ConsulClient: ConsulCalling {
    let endpoints: [String]
    private let agents: [HTTPEndpoint]
    private let token: TokenSource
    private let fields: [HTTPRequest.Field]
    private let datacenter: String?
    private let rotation: AgentRotation

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
        rotation = AgentRotation(endpoints, clock: clock)
        var fields = [HTTPRequest.Field("Accept", "application/json"), .init("User-Agent", userAgent)]
        if let login = access.basicLogin { fields.append(.init("Authorization", "Basic " + Base64.encode(Array(login.text.utf8)))) }
        self.fields = fields
    }

    func prepare() { agents.first?.prepare() }

    func close() async { for agent in agents { agent.close() } }

    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        try await rotation.call(request, until: deadline) { [self] (place, limit) throws(ConsulFailure) in
            try await call(request, at: place, until: limit)
        }
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
        let answer = ConsulAnswer(found, from: endpoints[place])
        if let failure = ConsulFailure(answer) { throw failure }
        return answer
    }
}
