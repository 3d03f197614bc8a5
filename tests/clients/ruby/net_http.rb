# frozen_string_literal: true

# Stand-in for ImageKit's Ruby SDK 4: sends its requests with its HTTP client, and prints one line
# of JSON for each request.
require "json"
require "net/http"

url, fields, *asked = ARGV
URL = URI(url)
FIELDS = JSON.parse(fields)
CONNECTION = Net::HTTP.new(URL.host, URL.port)
CONNECTION.max_retries = 0

def told(version) = [version["fileId"], version["versionInfo"]["name"], version["type"]]

def get(path)
  request = Net::HTTPGenericRequest.new("GET", false, true, URI.join(URL, path))
  FIELDS.each { |name, value| request[name] = value }
  CONNECTION.start unless CONNECTION.started?
  CONNECTION.request(request)
end

def answer(file, version = nil)
  response = get("/v1/files/#{file}/versions#{version && "/#{version}"}")
  parsed = JSON.parse(response.body)
  if response.is_a?(Net::HTTPOK)
    return version ? { version: told(parsed) } : { versions: parsed.map { told(_1) } }
  end

  { error: { name: response.class.name, status: response.code.to_i, message: parsed["message"],
             help: parsed["help"], wait: response["retry-after-ms"]&.to_i } }
rescue SystemCallError => e
  { error: { name: e.class.name } }
end

asked.each { puts JSON.generate(answer(*_1.split("/"))) }
