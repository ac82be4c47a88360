# The COM objects of Windows Update, over the double's state: `updates` holds what is missing and when something was installed last.
. $env:WINDOWS_DOUBLE_CODE/bodies/Common.ps1
function New-DoubleCollection { , (New-Object System.Collections.ArrayList) }
function New-DoubleUpdate($facts) {
    $update = [pscustomobject]@{
        Title = $facts.title
        KBArticleIDs = @($facts.kb)
        MsrcSeverity = $facts.severity
        EulaAccepted = $false
        InstallationBehavior = [pscustomobject]@{ CanRequestUserInput = [bool]$facts.asks; RebootBehavior = [int][bool]$facts.restart }
    }
    Add-Member -InputObject $update -MemberType ScriptMethod -Name AcceptEula -Value { $this.EulaAccepted = $true } -PassThru
}
function Assert-DoubleSystem {
    # As Windows answers a session that came over the network.
    if ($env:USERNAME -ne 'SYSTEM') { throw (New-Object UnauthorizedAccessException 'Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))') }
}
function New-DoubleSession {
    $session = New-Object psobject
    $searcher = New-Object psobject | Add-Member -MemberType ScriptMethod -Name Search -PassThru -Value {
        param($criteria)
        $state = Get-DoubleState
        if ($state.updates.failure) { throw (New-Object Runtime.InteropServices.COMException 'search', $state.updates.failure) }
        [pscustomobject]@{ Updates = @($state.updates.missing | Where-Object { $_ } | ForEach-Object { New-DoubleUpdate $_ }) }
    }
    $downloader = [pscustomobject]@{ Updates = $null }
    $downloader = Add-Member -InputObject $downloader -MemberType ScriptMethod -Name Download -Value { Assert-DoubleSystem; [pscustomobject]@{ ResultCode = 2 } } -PassThru
    $installer = [pscustomobject]@{ Updates = $null }
    $installer = Add-Member -InputObject $installer -MemberType ScriptMethod -Name Install -PassThru -Value {
        Assert-DoubleSystem
        $titles = @($this.Updates | ForEach-Object { if (-not $_.EulaAccepted) { throw 'a licence is not accepted' }; $_.Title })
        $restart = @($this.Updates | Where-Object { $_.InstallationBehavior.RebootBehavior }).Count -gt 0
        Edit-DoubleState {
            param($state)
            Set-DoubleValue $state.updates 'missing' @($state.updates.missing | Where-Object { $titles -notcontains $_.title })
            Set-DoubleValue $state.updates 'last' (Get-DoubleNow)
        }
        if ($restart) { New-Item -Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired' -Force | Out-Null }
        [pscustomobject]@{ ResultCode = 2 }
    }
    foreach ($made in @{ CreateUpdateSearcher = $searcher; CreateUpdateDownloader = $downloader; CreateUpdateInstaller = $installer }.GetEnumerator()) {
        $object = $made.Value
        Add-Member -InputObject $session -MemberType ScriptMethod -Name $made.Key -Value { $object }.GetNewClosure()
    }
    $session
}
function New-Object {
    [CmdletBinding(DefaultParameterSetName = 'Net')]
    param([Parameter(Position = 0, ParameterSetName = 'Net')][string]$TypeName, [Parameter(Position = 1, ParameterSetName = 'Net')][object[]]$ArgumentList,
        [Parameter(ParameterSetName = 'Com')][string]$ComObject, [Collections.IDictionary]$Property)
    if (-not $ComObject) { return Microsoft.PowerShell.Utility\New-Object @PSBoundParameters }
    switch ($ComObject) {
        'Microsoft.Update.Session' { New-DoubleSession }
        'Microsoft.Update.UpdateColl' { , (Microsoft.PowerShell.Utility\New-Object System.Collections.ArrayList) }
        'Microsoft.Update.AutoUpdate' {
            $last = (Get-DoubleState).updates.last
            # Nothing said: three days ago.
            $at = if ($last) { [DateTimeOffset]::FromUnixTimeMilliseconds($last).UtcDateTime } else { [DateTime]::UtcNow.AddDays(-3) }
            [pscustomobject]@{ Results = [pscustomobject]@{ LastInstallationSuccessDate = $at } }
        }
        default { throw "the Windows double does not implement the COM object $ComObject" }
    }
}
