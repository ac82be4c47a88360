# Event logs: the state keeps each event as Windows' own XML, by channel. Queries are judged by the genuine XPath of .NET, of which Windows'
# is a part (learn.microsoft.com, "Consuming Events": XPath 1.0 limitations); a term that only Windows knows fails here.
function New-DoubleEvent([string]$Xml) {
    $system = ([xml]$Xml).DocumentElement['System']
    $object = New-DoubleObject 'System.Diagnostics.Eventing.Reader.EventLogRecord' ([ordered]@{
        Id = [int]$system['EventID'].InnerText
        Level = [byte]$system['Level'].InnerText
        RecordId = [long]$system['EventRecordID'].InnerText
        ProviderName = $system['Provider'].GetAttribute('Name')
        LogName = $system['Channel'].InnerText
        TimeCreated = [DateTimeOffset]::Parse($system['TimeCreated'].GetAttribute('SystemTime'), [Globalization.CultureInfo]::InvariantCulture).LocalDateTime
        DoubleXml = $Xml
    })
    Add-Member -InputObject $object -MemberType ScriptMethod -Name ToXml -Value { $this.DoubleXml }
    $object
}
# Windows' queries name no namespace.
function Test-DoubleEvent([string]$Xml, [string]$Query) {
    $bare = [xml]($Xml -replace ' xmlns=("[^"]*"|''[^'']*'')', '')
    $bare.SelectNodes($Query).Count -gt 0
}
Body 'Get-WinEvent' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'LogName','FilterXPath','MaxEvents','Oldest'
    $logs = (Get-DoubleState).events
    foreach ($name in $Bound.LogName) {
        if (-not $logs.PSObject.Properties[$name]) {
            Write-DoubleError $Cmdlet 'NoMatchingLogsFound' "There is not an event log on the localhost computer that matches ""$name""." ObjectNotFound $name
            continue
        }
        $found = @($logs.$name | Where-Object { $_ -and (-not $Bound.FilterXPath -or (Test-DoubleEvent $_ $Bound.FilterXPath)) } | ForEach-Object { New-DoubleEvent $_ })
        $found = @($found | Sort-Object RecordId -Descending:(-not $Bound.Oldest))
        if ($Bound.ContainsKey('MaxEvents')) { $found = @($found | Select-Object -First $Bound.MaxEvents) }
        if (-not $found) {
            Write-DoubleError $Cmdlet 'NoMatchingEventsFound' 'No events were found that match the specified selection criteria.' ObjectNotFound $null
        }
        $found
    }
}
