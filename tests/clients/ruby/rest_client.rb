# frozen_string_literal: true

# Stand-in for ImageKit's Ruby SDK 3: sends its requests with its HTTP client, and prints one line
# of JSON for each request.
require "json"
require "rest-client"

URL, fields, *asked = ARGV
FIELDS = JSON.parse(fields)

def told(version) = [version["fileId"], version["versionInfo"]["name"], version["type"]]

def answer(file, version = nil)
  url = "#{URL}/v1/files/#{file}/versions#{version && "/#{version}"}"
  parsed = JSON.parse(RestClient::Request.execute(method: "get", url:, headers: FIELDS).body)
  version ? { version: told(parsed) } : { versions: parsed.map { told(_1) } }
rescue RestClient::ExceptionWithResponse => e
  parsed = JSON.parse(e.response)
  { error: { name: e.class.name, status: e.http_code, message: parsed["message"],
             help: parsed["help"], wait: e.response.headers[:x_ratelimit_reset]&.to_i } }
rescue SystemCallError => e
  { error: { name: e.class.name } }
end

asked.each { puts JSON.generate(answer(*_1.split("/"))) }
