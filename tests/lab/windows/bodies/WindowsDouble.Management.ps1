# Services, hot fixes, computer information, restart.
enum Double_ServiceStatus { Stopped = 1; StartPending = 2; StopPending = 3; Running = 4; ContinuePending = 5; PausePending = 6; Paused = 7 }
enum Double_StartType { Boot = 0; System = 1; Automatic = 2; Manual = 3; Disabled = 4 }

function New-DoubleService([string]$Name, $Facts) {
    New-DoubleObject 'System.ServiceProcess.ServiceController' ([ordered]@{
        Name = $Name
        DisplayName = $Facts.DisplayName
        Status = [Double_ServiceStatus]$Facts.Status
        StartType = [Double_StartType]$Facts.StartType
        ServiceName = $Name; MachineName = '.'; CanStop = $Facts.Status -eq 'Running'; DependentServices = @(); RequiredServices = @() })
}

# The services that a call names; an unknown exact name is an error, an unknown pattern is not.
function Find-DoubleService($State, $Bound, $Cmdlet) {
    $all = Get-DoubleNames $State.services
    if ($Bound.InputObject) { return @($Bound.InputObject | ForEach-Object { $_.Name }) }
    if ($Bound.DisplayName) { return @($all | Where-Object { Test-DoubleLike $State.services.$_.DisplayName $Bound.DisplayName }) }
    if (-not $Bound.ContainsKey('Name')) { return @($all | Sort-Object) }
    foreach ($wanted in $Bound.Name) {
        $found = @($all | Where-Object { $_ -like $wanted } | Sort-Object)
        if ($found) { $found }
        elseif (-not [Management.Automation.WildcardPattern]::ContainsWildcardCharacters($wanted)) {
            $problem = "Cannot find any service with service name '$wanted'."
            Write-DoubleError $Cmdlet 'NoServiceFoundForGivenName' $problem ObjectNotFound $wanted
        }
    }
}

Body 'Get-Service' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Name','DisplayName','InputObject','Include','Exclude'
    $state = Get-DoubleState
    foreach ($name in Find-DoubleService $state $Bound $Cmdlet) {
        if ($Bound.Include -and -not (Test-DoubleLike $name $Bound.Include)) { continue }
        if ($Bound.Exclude -and (Test-DoubleLike $name $Bound.Exclude)) { continue }
        New-DoubleService $name $state.services.$name
    }
}

# Brings the named services to a status; a disabled service does not start.
function Set-DoubleServiceStatus($Bound, $Cmdlet, [string]$Status) {
    Assert-DoubleOnly $Cmdlet $Bound 'Name','DisplayName','InputObject','Force','NoWait','PassThru'
    $names = @(Find-DoubleService (Get-DoubleState) $Bound $Cmdlet)
    Edit-DoubleState {
        param($state)
        foreach ($name in $names) {
            $service = $state.services.$name
            if (-not $Cmdlet.ShouldProcess("$($service.DisplayName) ($name)")) { continue }
            if ($Status -eq 'Running' -and $service.StartType -eq 'Disabled') {
                $problem = "Service '$($service.DisplayName) ($name)' cannot be started due to the following error: " +
                    "Cannot start service $name on computer '.'."
                Write-DoubleError $Cmdlet 'CouldNotStartService' $problem OpenError $name
            } else { $service.Status = $Status }
        }
    }
    if ($Status -eq 'Running' -and $names -contains 'sshd') { Invoke-DoubleControl sshd }
    if ($Bound.PassThru) { $state = Get-DoubleState; foreach ($name in $names) { New-DoubleService $name $state.services.$name } }
}
Body 'Start-Service' { param($Bound, $Cmdlet) Set-DoubleServiceStatus $Bound $Cmdlet 'Running' }
Body 'Stop-Service' { param($Bound, $Cmdlet) Set-DoubleServiceStatus $Bound $Cmdlet 'Stopped' }
Body 'Restart-Service' { param($Bound, $Cmdlet) Set-DoubleServiceStatus $Bound $Cmdlet 'Running' }

Body 'Set-Service' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Name','InputObject','DisplayName','StartupType','Status','PassThru'
    $wanted = @{ Name = @(if ($Bound.InputObject) { $Bound.InputObject.Name } else { $Bound.Name }) }
    foreach ($name in @(Find-DoubleService (Get-DoubleState) $wanted $Cmdlet)) {
        if (-not $Cmdlet.ShouldProcess($name)) { continue }
        if ((Get-DoubleState).services.$name.Protected) {
            $problem = "Service '$name' cannot be configured due to the following error: Access is denied"
            Write-DoubleError $Cmdlet 'CouldNotSetService' $problem PermissionDenied $name
            continue
        }
        Edit-DoubleState {
            param($state)
            if ($Bound.ContainsKey('StartupType')) { $state.services.$name.StartType = [string]$Bound.StartupType }
            if ($Bound.DisplayName) { $state.services.$name.DisplayName = $Bound.DisplayName }
            if ($Bound.Status) { $state.services.$name.Status = [string]$Bound.Status }
        }
        if ($Bound.PassThru) { New-DoubleService $name (Get-DoubleState).services.$name }
    }
}

Body 'Get-HotFix' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Id','Description'
    foreach ($fix in (Get-DoubleState).hotfixes) {
        if ($Bound.Id -and $Bound.Id -notcontains $fix.HotFixID) { continue }
        if ($Bound.Description -and -not (Test-DoubleLike $fix.Description $Bound.Description)) { continue }
        New-DoubleObject 'System.Management.ManagementObject#root\cimv2\Win32_QuickFixEngineering' ([ordered]@{
            CSName = $env:COMPUTERNAME
            Caption = "http://support.microsoft.com/?kbid=$($fix.HotFixID.Substring(2))"
            Description = $fix.Description
            HotFixID = $fix.HotFixID; InstalledBy = $fix.InstalledBy; InstalledOn = ConvertTo-DoubleDate $fix.InstalledOn })
    }
}

Body 'Get-ComputerInfo' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Property'
    $c = (Get-DoubleState).computer
    $all = [ordered]@{
        WindowsBuildLabEx = "$($c.BuildNumber).1.amd64fre.ge_release.240331-1435"
        WindowsCurrentVersion = '6.3'
        WindowsEditionId = $c.EditionID
        WindowsProductName = 'Windows 10 Pro'
        WindowsVersion = '2009'
        BiosFirmwareType = 'Uefi'
        CsName = $env:COMPUTERNAME
        CsDomain = $c.Domain
        CsPartOfDomain = $c.PartOfDomain
        CsManufacturer = $c.Manufacturer
        CsModel = $c.Model
        CsTotalPhysicalMemory = $c.TotalPhysicalMemory
        OsName = $c.Caption; OsVersion = $c.Version; OsBuildNumber = $c.BuildNumber; OsArchitecture = '64-bit' }
    $object = New-DoubleObject 'Microsoft.PowerShell.Commands.ComputerInfo' $all
    if ($Bound.Property) { $object | Select-Object -Property $Bound.Property } else { $object }
}

Body 'Restart-Computer' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Force'
    if ($Cmdlet.ShouldProcess("localhost ($env:COMPUTERNAME)")) { Invoke-DoubleControl reboot-in 1 }
}
